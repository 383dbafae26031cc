"""Tables and migrations: runs, journal, outbox, orders, approvals, commands, audit. The only place that knows SQL."""
