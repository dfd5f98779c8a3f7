//! The diffusion engine: everything that needs libtorch or the tokenizer.

pub mod corpus;
pub mod data;
pub mod denoise;
pub mod example;
pub mod habits;
pub mod model;
pub mod noise;
pub mod optim;
pub mod serve;
pub mod tokens;
pub mod train;
pub mod weights;
