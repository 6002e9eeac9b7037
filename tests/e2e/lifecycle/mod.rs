//! How narrows begins and ends: addresses and sockets, `check`, the embedded server, logs that
//! hold no secret, and an end that finishes what clients have begun.

mod drain;
mod log;
mod reload;
mod start;
mod systemd;
