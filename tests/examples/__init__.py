"""The examples, run as what they are: processes that real clients talk to."""
