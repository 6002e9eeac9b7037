//! Commands that need a connection of their own: transactions piece by piece, commands that wait,
//! state that stays. Each client that holds one has it alone and gives it back clean; others go on
//! beside it, and whoever cannot have one is told in time.

mod acknowledgements;
mod blocks;
mod busy;
mod cancels;
mod crowd;
mod leavers;
mod loss;
mod own_connections;
mod pauses;
mod places;
mod streams;
mod transactions;
mod waits;
