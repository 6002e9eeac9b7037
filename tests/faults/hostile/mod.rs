//! Clients that send garbage, too much, too slowly or not at all, that do not read or that
//! vanish: each gets Redis' own error or a documented stricter one, costs bounded memory, and no
//! other client notices.

mod bystander;
mod duplex;
mod garbage;
mod handshakes;
mod memory;
mod other_memory;
mod pipelines;
mod replies;
mod upload;
mod vanishing;
