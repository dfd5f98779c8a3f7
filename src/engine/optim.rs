//! The optimizer: Muon for the matrices inside the network, `AdamW` for the rest.
//!
//! Muon (Jordan 2024; scaled as in arXiv 2502.16982) makes each matrix update near-orthogonal by a
//! Newton-Schulz iteration. Own code because the optimizers of `tch` cannot be saved and resumed.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad};

use super::model::fast_kind;

/// Settings of a step.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub lr: f64,
    pub weight_decay: f64,
    /// The longest gradient, all weights together; longer ones are shortened to it.
    pub clip: f64,
}

const BETAS: (f64, f64) = (0.9, 0.98);
const MOMENTUM: f64 = 0.95;
const EPSILON: f64 = 1e-8;

/// Moments of all weights.
pub struct Optimizer {
    /// One for each weight.
    first: Vec<Tensor>,
    /// Empty for the weights that Muon moves.
    second: Vec<Option<Tensor>>,
    n_steps: i64,
}

impl Optimizer {
    /// `is_matrix` says which weights Muon moves.
    pub fn new(weights: &[Tensor], is_matrix: &[bool]) -> Self {
        let first = weights.iter().map(Tensor::zeros_like).collect();
        let second = weights
            .iter()
            .zip(is_matrix)
            .map(|(weight, matrix)| (!matrix).then(|| weight.zeros_like()))
            .collect();
        Self { first, second, n_steps: 0 }
    }

    /// Moves `weights` along `grads` and returns the length of the gradient before clipping.
    pub fn step(&mut self, weights: &[Tensor], grads: &[Tensor], rates: Rates) -> Tensor {
        no_grad(|| {
            self.n_steps += 1;
            let squares: Vec<Tensor> = grads.iter().map(|grad| grad.square().sum(Kind::Float)).collect();
            let norm = Tensor::stack(&squares, 0).sum(Kind::Float).sqrt();
            let scale = (rates.clip / (&norm + 1e-6)).clamp_max(1.0);
            let age = f64::from(i32::try_from(self.n_steps).unwrap_or(i32::MAX));
            let (fix1, fix2) = (1.0 - BETAS.0.powf(age), 1.0 - BETAS.1.powf(age));
            // Matrices of one shape are made orthogonal together.
            let mut by_shape: BTreeMap<Vec<i64>, (Vec<Tensor>, Vec<Tensor>)> = BTreeMap::new();
            for i in 0..weights.len() {
                let mut weight = weights[i].shallow_clone();
                let grad = &grads[i] * &scale;
                let first = &mut self.first[i];
                if let Some(second) = &mut self.second[i] {
                    let _ = first.lerp_(&grad, 1.0 - BETAS.0);
                    let _ = second.lerp_(&grad.square(), 1.0 - BETAS.1);
                    let update = (&*first / fix1) / ((&*second / fix2).sqrt() + EPSILON);
                    let _ = weight.g_sub_(&(update * rates.lr));
                } else {
                    let _ = first.lerp_(&grad, 1.0 - MOMENTUM);
                    let (moved, ahead) = by_shape.entry(weight.size()).or_default();
                    ahead.push(grad.lerp(first, MOMENTUM));
                    moved.push(weight);
                }
            }
            for (shape, (weights, ahead)) in by_shape {
                let match_adam = 0.2 * (shape[0].max(shape[1]) as f64).sqrt();
                let updates = orthogonal(&Tensor::stack(&ahead, 0)) * (rates.lr * match_adam);
                for (mut weight, update) in weights.into_iter().zip(updates.unbind(0)) {
                    let _ = weight.g_mul_scalar_(1.0 - rates.lr * rates.weight_decay);
                    let _ = weight.g_sub_(&update);
                }
            }
            norm
        })
    }

    /// All moments, for a checkpoint.
    pub fn state(&self) -> (Vec<(String, Tensor)>, i64) {
        let first =
            self.first.iter().enumerate().map(|(i, moment)| (format!("first.{i}"), moment.shallow_clone()));
        let second = self
            .second
            .iter()
            .enumerate()
            .filter_map(|(i, moment)| Some((format!("second.{i}"), moment.as_ref()?.shallow_clone())));
        (first.chain(second).collect(), self.n_steps)
    }

    /// Takes moments from a checkpoint; names that are absent start at zero.
    pub fn restore(&mut self, state: &[(String, Tensor)], n_steps: i64) {
        let find = |name: String, like: &Tensor| {
            state.iter().find(|(known, _)| *known == name).map(|(_, moment)| moment.to_device(like.device()))
        };
        for i in 0..self.first.len() {
            if let Some(moment) = find(format!("first.{i}"), &self.first[i]) {
                self.first[i] = moment;
            }
            if let Some(second) = &mut self.second[i]
                && let Some(moment) = find(format!("second.{i}"), second)
            {
                *second = moment;
            }
        }
        self.n_steps = n_steps;
    }
}

/// The nearest matrices with all singular values near one, by five quintic Newton-Schulz steps: `[n, rows, columns]`.
fn orthogonal(matrices: &Tensor) -> Tensor {
    let tall = matrices.size()[1] > matrices.size()[2];
    let wide = if tall { matrices.transpose(1, 2) } else { matrices.shallow_clone() };
    let x = wide.to_kind(fast_kind(wide.device())).contiguous();
    let mut x = &x / (x.norm_scalaropt_dim(2.0, [1i64, 2].as_slice(), true) + 1e-7);
    for _ in 0..5 {
        let a = x.bmm(&x.transpose(1, 2));
        let b = a.baddbmm(&a, &a, -4.7750, 2.0315);
        x = x.baddbmm(&b, &x, 3.4445, 1.0);
    }
    if tall { x.transpose(1, 2) } else { x }.to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// Matrices that no random generator is needed for.
    fn waves(n: i64, rows: i64, columns: i64) -> Tensor {
        let steps = Tensor::arange(n * rows * columns, (Kind::Float, Device::Cpu));
        (&steps * &steps * 0.37).sin().view([n, rows, columns])
    }

    #[test]
    fn updates_are_nearly_orthogonal() {
        for (rows, columns) in [(8, 24), (24, 8), (16, 16)] {
            let xs = orthogonal(&(waves(3, rows, columns) * 5.0));
            let gram = if rows > columns { xs.transpose(1, 2).bmm(&xs) } else { xs.bmm(&xs.transpose(1, 2)) };
            let diagonal = gram.diagonal(0, 1, 2);
            let (least, most) =
                (f64::try_from(diagonal.min()).unwrap(), f64::try_from(diagonal.max()).unwrap());
            assert!(0.3 < least && most < 1.7, "{rows} x {columns}: {least} to {most}");
        }
    }

    #[test]
    fn matrices_of_one_shape_do_not_mix() {
        let all = waves(3, 8, 24);
        let alone = orthogonal(&all.narrow(0, 1, 1));
        let beside = orthogonal(&all).narrow(0, 1, 1);
        assert!(f64::try_from((alone - beside).abs().max()).unwrap() < 0.02);
    }
}
