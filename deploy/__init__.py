"""What is installed on machines. Data, not code: the bot reads its files to compare them with what the nodes have."""
