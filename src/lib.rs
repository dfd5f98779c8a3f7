//! Repairs code that no longer parses.
//!
//! The blank lines keep the modules in the order in which data flows through them.

pub mod change;

pub mod diagnose;

pub mod lang;

pub mod table;

pub mod workbook;

pub mod lexeme;

pub mod state;

pub mod layout;

pub mod window;

pub mod protocol;

pub mod ports;

pub mod pack;

pub mod candidate;

pub mod verify;

pub mod suite;

pub mod imports;

pub mod results;

pub mod spectrum;

pub mod verdict;

pub mod smell;

pub mod rank;

pub mod patch;

pub mod report;

pub mod review;

pub mod pipeline;

pub mod tested;

pub mod config;

#[expect(clippy::disallowed_methods, reason = "files and processes live here")]
pub mod io;

#[expect(clippy::disallowed_methods, reason = "plugs the world into the core")]
pub mod cli;
