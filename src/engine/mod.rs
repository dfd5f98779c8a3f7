//! The diffusion engine: everything that needs libtorch or the tokenizer.

#![expect(clippy::disallowed_methods, reason = "reads corpora, writes runs and weights")]
#![expect(unreachable_pub, reason = "a module of the program reads like one of the library")]
#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "sizes of tensors are i64 and rates f64; all are small"
)]

pub mod corpus;
pub mod data;
pub mod denoise;
pub mod eval;
pub mod example;
pub mod habits;
pub mod model;
pub mod noise;
pub mod optim;
mod scripts;
pub mod serve;
mod slips;
pub mod tokens;
pub mod train;
pub mod weights;
