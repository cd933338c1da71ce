"""One page each: a function whose signature is its configuration."""
