//! The commands, from outside: what they print, write and answer. One binary, so that it links once.

#![expect(clippy::disallowed_methods, reason = "tests stand in for the world")]

#[cfg(target_os = "linux")]
mod action;
#[cfg(unix)]
mod apply;
mod cases;
#[cfg(unix)]
mod check;
#[cfg(unix)]
mod config;
#[cfg(unix)]
mod copies;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod engine_faults;
#[cfg(unix)]
mod explain;
#[cfg(unix)]
mod fix;
#[cfg(target_os = "linux")]
mod fix_by_tests;
#[cfg(unix)]
mod fork;
#[cfg(unix)]
mod github;
#[cfg(unix)]
mod hook;
#[cfg(unix)]
mod install;
#[cfg(unix)]
mod killed;
#[cfg(unix)]
mod managers;
#[cfg(unix)]
mod mutated;
#[cfg(unix)]
mod pr;
#[cfg(unix)]
mod prism;
#[cfg(unix)]
mod project;
#[cfg(unix)]
mod projects;
#[cfg(target_os = "linux")]
mod push;
#[cfg(unix)]
mod pwsh;
#[cfg(unix)]
mod repair;
#[cfg(unix)]
mod repo;
#[cfg(target_os = "linux")]
mod sandbox_hostile;
#[cfg(target_os = "linux")]
mod sandbox_ladder;
#[cfg(target_os = "linux")]
mod sandbox_reports;
#[cfg(target_os = "linux")]
mod sandbox_support;
#[cfg(all(unix, feature = "engine"))]
mod shipped;
#[cfg(unix)]
mod suites;
mod support;
#[cfg(target_os = "linux")]
mod test_command;
mod tidy;
#[cfg(unix)]
mod traced;
#[cfg(unix)]
mod unread;
#[cfg(unix)]
mod workbook;
