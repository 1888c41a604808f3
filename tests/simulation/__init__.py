"""The simulator: worlds that are played, audits that can fail, and what an operator sees of it."""
