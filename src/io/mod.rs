//! The world: files and processes. No decisions are made here.

pub mod engine;
pub mod files;
pub mod git;
mod lines;
pub mod pwsh;
