//! `lastmile-engine eval`: how well a pack mends real pairs, each as one window, without the light half.

use std::fmt;
use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;

use super::corpus::Pair;
use super::data::ALIGN_LIMIT;
use super::denoise::Denoiser;
use super::example::Example;
use super::train::loss;
use crate::lang::Dialect;
use crate::protocol::{Aim, Request};
use crate::state::{State, align};

/// What was measured on pairs that fit into a window and that the judge refuses.
#[derive(Debug, Default)]
pub struct Report {
    pub n: usize,
    /// Negative log-likelihood of the human's edits, in nats, summed over the pairs.
    pub nats: f64,
    pub n_repaired: usize,
    /// The human's fix, but for layout, is the first candidate, or one of the first ten.
    pub n_exact_1: usize,
    pub n_exact_10: usize,
    /// Milliseconds for each pair, ascending.
    pub ms: Vec<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let share = |n: usize| 100.0 * n as f64 / self.n.max(1) as f64;
        let ms = |percent: usize| self.ms.get(self.ms.len() * percent / 100).copied().unwrap_or_default();
        write!(f, "{} pairs: {:.3} nats a repair", self.n, self.nats / self.n.max(1) as f64)?;
        write!(f, ", repaired {:.1} %, exact@1 {:.1} %", share(self.n_repaired), share(self.n_exact_1))?;
        write!(f, ", exact@10 {:.1} %, p50 {:.0} ms, p95 {:.0} ms", share(self.n_exact_10), ms(50), ms(95))
    }
}

/// Repairs every pair and compares with the human's fix, lexeme by lexeme.
pub fn evaluate(denoiser: &Denoiser, pairs: &[Pair]) -> Result<Report> {
    let mut report = Report::default();
    let bar = ProgressBar::new(pairs.len() as u64);
    let style = denoiser.language.style();
    let seen = |text: &str| {
        let state = State::new(text.to_owned(), style);
        (0..state.len()).map(|idx| state.lexeme(idx).into_owned()).collect::<Vec<_>>()
    };
    for (pair, seed) in pairs.iter().zip(0..) {
        bar.inc(1);
        let state = State::new(pair.broken.clone(), style);
        let faults = denoiser.language.faults(&pair.broken, Dialect::default());
        let is_short = state.len() < usize::try_from(denoiser.net.config.max_len)?;
        let fixed = pair.fixed_min.as_ref().unwrap_or(&pair.fixed);
        let events = align(&state, &State::new(fixed.clone(), style), ALIGN_LIMIT);
        let Some(events) = events.filter(|events| {
            is_short && !events.is_empty() && faults.is_empty() == (denoiser.aim == Aim::Tests)
        }) else {
            continue;
        };
        report.n += 1;
        let example = Example::new(&denoiser.tokens, &state, &faults, &events);
        let nats = tch::no_grad(|| loss(&denoiser.net, &[example], denoiser.net.weights()[0].device()));
        report.nats += f64::try_from(nats.total)?;
        let request = Request {
            id: 0,
            lang: denoiser.language.name().to_owned(),
            text: pair.broken.clone(),
            start: 0,
            end: pair.broken.len(),
            aim: denoiser.aim,
            target: None,
            k: 10,
            budget_ms: 10_000,
            seed,
            trace: false,
        };
        let start = Instant::now();
        let proposals = denoiser.repair(&request).map_err(anyhow::Error::msg)?;
        report.ms.push(start.elapsed().as_secs_f64() * 1e3);
        let wanted = [seen(&pair.fixed), seen(fixed)];
        let rank = proposals.iter().position(|proposal| wanted.contains(&seen(&proposal.text)));
        report.n_repaired += usize::from(!proposals.is_empty());
        report.n_exact_1 += usize::from(rank == Some(0));
        report.n_exact_10 += usize::from(rank.is_some());
    }
    bar.finish_and_clear();
    ensure!(report.n > 0, "none of the {} pairs is broken code that fits into a window", pairs.len());
    report.ms.sort_by(f64::total_cmp);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::denoise::SearchLimits;
    use super::super::serve::Server;
    use super::*;

    fn pair(broken: &str, fixed: &str) -> Pair {
        Pair { broken: broken.to_owned(), fixed: fixed.to_owned(), fixed_min: None }
    }

    #[test]
    fn pairs_are_counted_by_what_became_of_them() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let limits = SearchLimits { n_batches: 2, ..SearchLimits::default() };
        let mut server = Server::new(&models, tch::Device::Cpu, limits);
        let denoiser = server.pack("python").expect("shipped");
        let pairs = [
            pair("print(len([1, 2])\n", "print(len([1, 2]))\n"),
            pair("x = [1, 2\n", "completely = different\n"),
            pair("fine = 1\n", "finer = 1\n"),
        ];
        let report = evaluate(denoiser, &pairs).expect("two are broken");
        assert_eq!((report.n, report.n_repaired, report.n_exact_1, report.ms.len()), (2, 2, 1, 2));
        assert!(report.nats > 1.0);
        assert!(evaluate(denoiser, &pairs[2..]).is_err());
    }
}
