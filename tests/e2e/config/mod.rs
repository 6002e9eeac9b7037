//! The configuration as operators meet it: files, variables, flags, and what is said of
//! mistakes. Every test hands in its own environment.

mod contradictions;
mod mistakes;
mod secrets;
mod settings;
mod setup;
mod users;
