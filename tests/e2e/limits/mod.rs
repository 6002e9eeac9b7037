//! Limits, each of which says so three times: to the client in Redis' own words where Redis has any,
//! in a figure, and, where it closes somebody, in a line of the log that names its key.

mod accept_policy;
mod clients;
mod figures;
mod leases;
mod proxy_header;
