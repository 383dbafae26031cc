"""The process and its edges: command line, settings, Slack, delivery, the clock on the wall."""
