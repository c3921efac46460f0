"""What a router says of itself: its log and its metrics, made from events and from what can be read."""
