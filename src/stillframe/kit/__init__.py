"""Small, pure, named helpers: ids, clock, units. Nothing here knows a room, a door or a database."""
