//! The commands, from outside: what they print, write and answer. One binary, so that it links once.

#![expect(clippy::disallowed_methods, reason = "tests stand in for the world")]

#[cfg(unix)]
mod apply;
#[cfg(unix)]
mod hook;
#[cfg(unix)]
mod install;
#[cfg(unix)]
mod managers;
#[cfg(unix)]
mod repo;
