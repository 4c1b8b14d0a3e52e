//! ptyd: the terminal-multiplexing daemon. `ptyd` is the keeper, `ptyd worker` the worker it starts.

mod handover;

fn main() {}
