//! The world: files and processes. No decisions are made here.

pub mod engine;
pub mod environment;
pub mod examples;
pub mod files;
pub mod git;
pub mod github;
mod lines;
pub mod pwsh;
pub mod sandbox;
pub mod trace;
pub mod tree;
pub mod trial;
