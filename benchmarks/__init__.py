"""What the updater's speed is, against the same work done by PostgreSQL's own tools, in one command."""
