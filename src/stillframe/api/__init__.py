"""The doors: one package per dialect, all alike. A door decodes, calls one service, encodes; it decides nothing."""
