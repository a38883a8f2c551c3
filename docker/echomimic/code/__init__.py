"""EchoMimic's runner and what it is made of."""
