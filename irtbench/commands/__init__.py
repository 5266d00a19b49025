"""The commands, thin: parse, call one function, print. Heavy imports happen inside each command."""
