//! Connections: a session from hello to drain.
//!
//! A [`Session`] is owned and polled by its transport (`grpc::body`, later the bridge): requests go in through
//! [`Session::input`], frames come out of [`Session::poll_output`], and only as fast as the transport takes them, so a
//! reader that stops holds nothing but its cursors. A session's commands are futures that it polls itself, and everything
//! that has to happen without it (heartbeat, expiry, slow readers) is the [`sweep`]'s, which goes over all sessions of a
//! runtime. What it reads to begin with and to catch up are tasks, as they take turns with those of all others ([`crowd`]).

mod administer;
mod attempt;
mod audited;
mod batch;
mod catch_up;
mod connection;
mod counts;
mod crowd;
mod dispatch;
mod doors;
mod driver;
mod entering;
pub mod executor;
mod finish;
mod inbox_feed;
mod join;
mod joins;
mod known;
mod limits;
mod live;
mod locks;
mod memory;
mod missed;
mod notices;
mod once;
mod opening;
mod openings;
mod order;
pub mod owners;
mod pace;
mod pages;
mod permitted;
mod places;
mod questions;
mod quotas;
mod rates;
mod reached;
mod replaced;
mod resumed;
mod services;
mod sessions;
mod signals;
mod slots;
mod spent;
mod sweep;
mod tickets;
mod turns;
mod unread;

pub use attempt::Attempt;
pub use batch::Batch;
pub use connection::Closer;
pub use counts::tell_counts;
pub use driver::{Input, Output, Session};
pub use limits::{Limits, SessionLimits};
pub use live::Live;
pub use missed::tell_missed_marks;
pub use notices::NoticeRouter;
pub use order::Order;
pub use services::{Services, Settings, Upkeep};
pub use sessions::Sessions;
pub use sweep::{first_call, pass as sweep_pass, sweep_runtime};
pub use unread::{AbsentMember, Here, absent_members, send_unread};
