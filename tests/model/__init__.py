"""The broker beside a plain model of it: whatever is done to both, they must answer and look alike."""
