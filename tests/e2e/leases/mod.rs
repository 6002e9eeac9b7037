//! Commands that need a connection of their own: transactions piece by piece, commands that wait,
//! state that stays. Each client that holds one has it alone and gives it back clean; others go on
//! beside it, and whoever cannot have one is told in time.

mod acknowledgements;
mod busy;
mod cancels;
mod crowd;
mod disconnects;
mod loss;
mod own_connections;
mod pauses;
mod streams;
mod transactions;
mod wait_line;
mod waits;
mod whole_transactions;
