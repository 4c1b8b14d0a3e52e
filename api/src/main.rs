//! devpocket: the binary of the api tier.

fn main() {}
