"""Plain implementations to compare the compiled ones with. Their rules: written from protocol/wire.md alone, importing
nothing of ours, and so simple that reading them shows that they are right. They may be slow."""
