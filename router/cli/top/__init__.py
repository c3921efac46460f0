"""`router top`: the live screen."""
