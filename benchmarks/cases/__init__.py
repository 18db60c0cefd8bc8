"""One file per part: each takes the bench and answers its rows."""
