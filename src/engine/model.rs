//! The network: a bidirectional transformer over lexemes that gives, for every lexeme, the odds of
//! keeping, deleting or substituting it, for every gap the odds of an insertion, and for each place
//! to write a distribution over the vocabulary and over the lexemes of the window.
//!
//! Pre-norm, `RoPE` (arXiv 2104.09864), `SwiGLU` (arXiv 2002.05202), tied embedding; copying as in
//! pointer networks (arXiv 1506.03134).

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::example::LEVELS;
use crate::lang::Fault;
use crate::lexeme::Hint;

/// Sizes of the network; saved beside the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub n_vocab: i64,
    /// Entries that may be written: the first of the vocabulary.
    pub n_emit: i64,
    pub d_model: i64,
    pub n_layers: i64,
    pub n_heads: i64,
    pub d_ff: i64,
    /// The longest window, in lexemes.
    pub max_len: i64,
}

const MARKS: i64 = 6;

/// All weights by name; the names are the checkpoint format.
///
/// Matrices are `[out, in]`.
pub struct Net {
    pub config: ModelConfig,
    weights: Vec<Tensor>,
    rope: (Tensor, Tensor),
    kind: Kind,
}

/// The numbers that a device multiplies fastest: bf16 where it has instructions for them, f32 elsewhere, where bf16 takes
/// several times as long.
pub fn fast_kind(device: Device) -> Kind {
    #[cfg(target_arch = "x86_64")]
    let on_cpu = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let on_cpu = false;
    if device != Device::Cpu || on_cpu { Kind::BFloat16 } else { Kind::Float }
}

/// Name, shape and standard deviation at the start of every weight.
pub fn layout(c: &ModelConfig) -> Vec<(String, Vec<i64>, f64)> {
    let d = c.d_model;
    let linear = |n_in: i64| 1.0 / (n_in as f64).sqrt();
    let deep = |n_in: i64| linear(n_in) / (2.0 * c.n_layers as f64).sqrt();
    let mut all: Vec<(String, Vec<i64>, f64)> = vec![
        ("embed".into(), vec![c.n_vocab, d], 0.05),
        ("hint".into(), vec![Hint::COUNT, d], 0.02),
        ("fault".into(), vec![i64::from(Fault::CODES), d], 0.02),
        ("mark".into(), vec![MARKS, d], 0.02),
        ("level".into(), vec![LEVELS, d], 0.02),
    ];
    for i in 0..c.n_layers {
        all.push((format!("blocks.{i}.norm1"), vec![d], -1.0));
        all.push((format!("blocks.{i}.qkv"), vec![3 * d, d], linear(d)));
        all.push((format!("blocks.{i}.out"), vec![d, d], deep(d)));
        all.push((format!("blocks.{i}.norm2"), vec![d], -1.0));
        all.push((format!("blocks.{i}.up"), vec![2 * c.d_ff, d], linear(d)));
        all.push((format!("blocks.{i}.down"), vec![d, c.d_ff], deep(c.d_ff)));
    }
    all.extend([
        ("norm".to_owned(), vec![d], -1.0),
        ("op.weight".to_owned(), vec![3, d], 0.02),
        ("op.bias".to_owned(), vec![3], 0.0),
        ("gap.left".to_owned(), vec![d, d], linear(2 * d)),
        ("gap.right".to_owned(), vec![d, d], linear(2 * d)),
        ("gap.weight".to_owned(), vec![2, d], 0.02),
        ("gap.bias".to_owned(), vec![2], 0.0),
        ("write.substitute".to_owned(), vec![2 * d, d], linear(d)),
        ("write.insert".to_owned(), vec![2 * d, d], linear(d)),
        ("write.norm".to_owned(), vec![d], -1.0),
        ("write.bias".to_owned(), vec![c.n_emit], 0.0),
        ("copy.key".to_owned(), vec![d, d], linear(d)),
    ]);
    all
}

/// A batch of inputs on the device; `batch` rows padded to `len`.
pub struct Batch {
    /// `[batch, len, PIECES]`
    pub pieces: Tensor,
    /// `[batch, len]` each
    pub hints: Tensor,
    pub faults: Tensor,
    pub marks: Tensor,
    /// `[batch]`
    pub levels: Tensor,
    /// `[batch, len]`, true where there is a lexeme
    pub valid: Tensor,
}

/// What the network says of a batch.
pub struct Odds {
    /// `[batch, len, d]`
    pub hidden: Tensor,
    /// Of the gap before each position, `[batch, len, d]`
    pub gaps: Tensor,
    /// Logits of keep, delete, substitute: `[batch, len, 3]`
    pub ops: Tensor,
    /// Logits of nothing, insert: `[batch, len, 2]`
    pub inserts: Tensor,
}

impl Net {
    /// Fresh weights on `device`, drawn after `tch::manual_seed`.
    pub fn new(config: ModelConfig, device: Device) -> Self {
        let weights = layout(&config).into_iter().map(|(_, shape, std)| {
            let weight = if std < 0.0 {
                Tensor::ones(&shape, (Kind::Float, device))
            } else {
                Tensor::randn(&shape, (Kind::Float, device)) * std
            };
            weight.set_requires_grad(false)
        });
        let weights = weights.collect();
        Self::from_weights(config, weights)
    }

    /// Weights in the order of [`layout`].
    pub fn from_weights(config: ModelConfig, weights: Vec<Tensor>) -> Self {
        let (device, kind) = (weights[0].device(), weights[0].kind());
        let rope = rope(&config, device);
        Self { config, weights, rope, kind }
    }

    pub fn weights(&self) -> &[Tensor] {
        &self.weights
    }

    /// The same network computing in `kind`; gradients flow back through the cast.
    pub fn cast(&self, kind: Kind) -> Self {
        let weights = self.weights.iter().map(|weight| weight.to_kind(kind)).collect();
        Self {
            config: self.config,
            weights,
            rope: (self.rope.0.to_kind(kind), self.rope.1.to_kind(kind)),
            kind,
        }
    }

    /// Encodes a batch. The stream between blocks stays in f32.
    pub fn forward(&self, batch: &Batch) -> Odds {
        let c = &self.config;
        let mut xs = self.embed(batch);
        let (rows, len) = batch.valid.size2().expect("[batch, len]");
        let mask = Tensor::zeros([rows, len], (self.kind, xs.device()))
            .masked_fill(&batch.valid.logical_not(), f64::NEG_INFINITY)
            .repeat_interleave_self_int(c.n_heads, 0, None)
            .unsqueeze(1); // [batch * heads, 1, len]
        for i in 0..usize::try_from(c.n_layers).expect("positive") {
            let [norm1, qkv, out, norm2, up, down] = self.block(i);
            xs = &xs
                + self
                    .attend(&self.norm(&xs, norm1), qkv, &mask)
                    .linear(out, None::<&Tensor>)
                    .to_kind(Kind::Float);
            let wide = self.norm(&xs, norm2).linear(up, None::<&Tensor>);
            let halves = wide.chunk(2, -1);
            xs = &xs + (halves[0].silu() * &halves[1]).linear(down, None::<&Tensor>).to_kind(Kind::Float);
        }
        let [norm, op, op_bias, left, right, gap, gap_bias, ..] = self.tail();
        let hidden = self.norm(&xs, norm);
        let len = hidden.size()[1];
        let before = hidden.narrow(1, 0, len - 1).constant_pad_nd([0, 0, 1, 0]);
        let gaps =
            (before.linear(left, None::<&Tensor>) + hidden.linear(right, None::<&Tensor>)).gelu("none");
        let ops = hidden.linear(op, Some(op_bias)).to_kind(Kind::Float);
        let inserts = gaps.linear(gap, Some(gap_bias)).to_kind(Kind::Float);
        Odds { hidden, gaps, ops, inserts }
    }

    /// Logits over the vocabulary and the window for places to write: `[places, n_emit + len]`.
    ///
    /// `rows` and `at` (`[places]` each) say which place of which row; `is_insert` picks the head.
    pub fn write(&self, odds: &Odds, batch: &Batch, rows: &Tensor, at: &Tensor, is_insert: bool) -> Tensor {
        let [.., substitute, insert, norm, bias, key] = self.tail();
        let d = self.config.d_model;
        let from = if is_insert { &odds.gaps } else { &odds.hidden };
        let places = from.index(&[Some(rows), Some(at)]); // [places, d]
        let queries = places.linear(if is_insert { insert } else { substitute }, None::<&Tensor>);
        let (vocab_query, copy_query) = (queries.narrow(1, 0, d), queries.narrow(1, d, d));
        let vocab_query = vocab_query.rms_norm([d], Some(norm), 1e-6);
        let emit = self.weights[0].narrow(0, 0, self.config.n_emit);
        let vocab = vocab_query.linear(&emit, Some(bias)).to_kind(Kind::Float);
        let keys = odds.hidden.linear(key, None::<&Tensor>).index_select(0, rows); // [places, len, d]
        let copy = keys.bmm(&copy_query.unsqueeze(2)).squeeze_dim(2).to_kind(Kind::Float) / (d as f64).sqrt();
        let copy = copy.masked_fill(&batch.valid.index_select(0, rows).logical_not(), f64::NEG_INFINITY);
        Tensor::cat(&[vocab, copy], 1)
    }

    /// The matrix behind [`Net::write`].
    pub fn write_head(&self, is_insert: bool) -> &Tensor {
        let [.., substitute, insert, _, _, _] = self.tail();
        if is_insert { insert } else { substitute }
    }

    fn embed(&self, batch: &Batch) -> Tensor {
        let [embed, hint, fault, mark, level] = [0, 1, 2, 3, 4].map(|i| &self.weights[i]);
        let present = batch.pieces.not_equal(0).to_kind(self.kind).unsqueeze(-1); // [batch, len, PIECES, 1]
        let pieces = Tensor::embedding(embed, &batch.pieces, -1, false, false) * &present;
        let mean = pieces.sum_dim_intlist([2i64].as_slice(), false, self.kind)
            / present.sum_dim_intlist([2i64].as_slice(), false, self.kind).clamp_min(1.0);
        let xs = mean
            + Tensor::embedding(hint, &batch.hints, -1, false, false)
            + Tensor::embedding(fault, &batch.faults, -1, false, false)
            + Tensor::embedding(mark, &batch.marks, -1, false, false)
            + Tensor::embedding(level, &batch.levels, -1, false, false).unsqueeze(1);
        xs.to_kind(Kind::Float)
    }

    /// Attention of every lexeme to those that `mask` (`[batch * heads, 1, len]`, added to the odds) leaves.
    ///
    /// Windows are short and many, for which two batched products are faster on a CPU than fused attention.
    fn attend(&self, xs: &Tensor, qkv: &Tensor, mask: &Tensor) -> Tensor {
        let (rows, len, d) = xs.size3().expect("[batch, len, d]");
        let heads = self.config.n_heads;
        let qkv = xs.linear(qkv, None::<&Tensor>);
        let qk = self.rotate(&qkv.narrow(2, 0, 2 * d));
        let by_head = |xs: &Tensor| {
            xs.view([rows, len, heads, d / heads]).transpose(1, 2).reshape([rows * heads, len, d / heads])
        };
        let (q, k) = (by_head(&qk.narrow(2, 0, d)), by_head(&qk.narrow(2, d, d)));
        let v = by_head(&qkv.narrow(2, 2 * d, d));
        let scale = ((d / heads) as f64).sqrt().recip();
        let odds = mask.baddbmm(&q, &k.transpose(1, 2), 1.0, scale); // [batch * heads, len, len]
        let ys = odds.softmax(-1, self.kind).bmm(&v).view([rows, heads, len, d / heads]);
        ys.transpose(1, 2).reshape([rows, len, d])
    }

    /// Rotary position embedding of queries and keys, `[batch, len, 2 * d]`.
    fn rotate(&self, xs: &Tensor) -> Tensor {
        let (rows, len, width) = xs.size3().expect("[batch, len, 2 * d]");
        let halves = [rows, len, 2 * self.config.n_heads, 2, -1];
        let swapped = xs.reshape(halves).flip([3]).view([rows, len, width]);
        let (cos, sin) = (self.rope.0.narrow(0, 0, len), self.rope.1.narrow(0, 0, len));
        (xs * &cos).addcmul(&swapped, &sin)
    }

    /// RMS norm in f32, handed on in the network's kind.
    fn norm(&self, xs: &Tensor, weight: &Tensor) -> Tensor {
        let d = self.config.d_model;
        xs.rms_norm([d], Some(&weight.to_kind(Kind::Float)), 1e-6).to_kind(self.kind)
    }

    fn block(&self, i: usize) -> [&Tensor; 6] {
        std::array::from_fn(|j| &self.weights[5 + 6 * i + j])
    }

    fn tail(&self) -> [&Tensor; 12] {
        let start = self.weights.len() - 12;
        std::array::from_fn(|j| &self.weights[start + j])
    }
}

/// Cosines and sines of all positions, `[max_len, 2 * d]` each: for every head a half and the other half.
fn rope(c: &ModelConfig, device: Device) -> (Tensor, Tensor) {
    let half = c.d_model / c.n_heads / 2;
    let powers = Tensor::arange(half, (Kind::Float, device)) * (-(1000f64.ln()) / half as f64);
    let angles = Tensor::arange(c.max_len, (Kind::Float, device)).unsqueeze(1) * powers.exp().unsqueeze(0); // [max_len, half]
    let (cos, sin) = (angles.cos(), angles.sin());
    let for_heads = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 1).repeat([1, 2 * c.n_heads]);
    (for_heads(&cos, &cos), for_heads(&-&sin, &sin))
}

#[cfg(test)]
mod tests {
    use tch::IndexOp;

    use super::super::example::Input;
    use super::super::train::collate;
    use super::*;

    fn tiny() -> ModelConfig {
        ModelConfig { n_vocab: 20, n_emit: 12, d_model: 16, n_layers: 2, n_heads: 2, d_ff: 24, max_len: 32 }
    }

    /// Weights that no random generator is needed for.
    fn net() -> Net {
        let weights = layout(&tiny()).into_iter().enumerate().map(|(i, (_, shape, std))| {
            if std < 0.0 {
                return Tensor::ones(&shape, (Kind::Float, Device::Cpu));
            }
            let n: i64 = shape.iter().product();
            let waves = (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.7 + i as f64).sin();
            (waves * 0.2).view(shape.as_slice())
        });
        Net::from_weights(tiny(), weights.collect())
    }

    fn input(n: usize) -> Input {
        let small = |i: usize, below: usize| u8::try_from(i % below).expect("small");
        Input {
            pieces: (0..n).map(|i| [u16::from(small(i, 9)) + 3, u16::from(small(i, 2)) * 13, 0, 0]).collect(),
            hints: (0..n).map(|i| small(i, 15)).collect(),
            faults: (0..n).map(|i| small(i, 4)).collect(),
            marks: (0..n).map(|i| small(i, 6)).collect(),
            groups: (0..n).map(|i| u16::from(small(i, 5))).collect(),
            level: 2,
        }
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.flatten(0, -1).to_kind(Kind::Double);
        Vec::try_from(&flat).expect("one dimension of f64")
    }

    #[test]
    fn names_of_weights_are_the_checkpoint_format() {
        let names: Vec<String> =
            layout(&tiny()).into_iter().map(|(name, shape, _)| format!("{name} {shape:?}")).collect();
        insta::assert_snapshot!(names.join("\n"));
    }

    #[test]
    fn golden_logits() {
        let batch = collate(&[&input(7)], Device::Cpu);
        let odds = net().forward(&batch);
        let rows = Tensor::from_slice(&[0i64, 0]);
        let at = Tensor::from_slice(&[2i64, 5]);
        let write = net().write(&odds, &batch, &rows, &at, true);
        let show =
            |tensor: &Tensor| numbers(tensor).iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(" ");
        insta::assert_snapshot!(
            [show(&odds.ops.i((0, 0..7))), show(&odds.inserts.i((0, 0..7))), show(&write.narrow(1, 0, 19))]
                .join("\n")
        );
    }

    #[test]
    fn neighbours_in_a_batch_do_not_matter() {
        let alone = net().forward(&collate(&[&input(7)], Device::Cpu));
        let beside = net().forward(&collate(&[&input(30), &input(7)], Device::Cpu));
        let (alone, beside) = (numbers(&alone.ops.i((0, 0..7))), numbers(&beside.ops.i((1, 0..7))));
        for (a, b) in alone.iter().zip(beside) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}
