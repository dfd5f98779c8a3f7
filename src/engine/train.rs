//! `lastmile-engine train`: one loop, one run folder, resumable.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::corpus::{Corpus, Pair, read_lines};
use super::data::{Source, batches, pad_to, stream};
use super::example::{Example, Input};
use super::habits::Habit;
use super::model::{Batch, ModelConfig, Net, fast_kind};
use super::noise::Profile;
use super::optim::{Optimizer, Rates};
use super::tokens::{PIECES, Sizes, Tokens};
use super::weights::{PackFile, load_weights, save_tensors, save_weights};
use crate::lang;
use crate::state::State;

/// A training run: `models/<language>/train.toml`, any key of which a flag can override.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    pub language: String,
    /// Corpus files and how often each is drawn from; paths are relative to the data folder.
    pub corpora: Vec<(PathBuf, f64)>,
    /// Real pairs and their share of the examples.
    pub pairs: Option<PathBuf>,
    pub pairs_share: f64,
    /// Whether damage must still parse, in whole functions: slips that only tests find.
    #[serde(default)]
    pub keeps_parsing: bool,
    pub seed: u64,
    /// Threads that damage code.
    pub n_workers: usize,
    pub n_steps: u64,
    /// Places in a batch, padding included.
    pub batch_lexemes: usize,
    pub lr: f64,
    /// Shares of the run in which the rate climbs and falls.
    pub warmup: f64,
    pub decay: f64,
    pub weight_decay: f64,
    pub clip: f64,
    /// Compute in bf16 instead of f32, where the device is fast at it.
    pub bf16: bool,
    pub n_emit: usize,
    pub n_pieces: usize,
    pub d_model: i64,
    pub n_layers: i64,
    pub n_heads: i64,
    pub d_ff: i64,
    pub max_len: i64,
    /// Steps between checkpoints.
    pub save_every: u64,
}

/// Where a run reads and writes.
pub struct Paths {
    pub data: PathBuf,
    pub noise: PathBuf,
    pub run: PathBuf,
    /// Weights and vocabulary to start from: a pack folder.
    pub init: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Position {
    step: u64,
    chunk: u64,
    optimizer_steps: i64,
}

/// Trains, resuming from the run folder's checkpoint when there is one.
pub fn train(config: &TrainConfig, paths: &Paths, device: Device) -> Result<()> {
    fs::create_dir_all(&paths.run).with_context(|| format!("creating `{}`", paths.run.display()))?;
    let source = Arc::new(open_source(config, paths)?);
    let network = ModelConfig {
        n_vocab: i64::try_from(source.tokens.size())?,
        n_emit: i64::try_from(source.tokens.n_emit())?,
        d_model: config.d_model,
        n_layers: config.n_layers,
        n_heads: config.n_heads,
        d_ff: config.d_ff,
        max_len: config.max_len,
    };
    fs::write(paths.run.join("model.toml"), toml::to_string(&PackFile { network })?)?;
    fs::write(paths.run.join("config.toml"), toml::to_string(config)?)?;

    tch::manual_seed(i64::try_from(config.seed)?);
    let checkpoint = paths.run.join("checkpoint.safetensors");
    let net = if checkpoint.exists() {
        load_weights(&checkpoint, network, device)?
    } else if let Some(init) = &paths.init {
        load_weights(&init.join("weights.safetensors"), network, device)?
    } else {
        Net::new(network, device)
    };
    let weights: Vec<Tensor> =
        net.weights().iter().map(|weight| weight.detach().set_requires_grad(true)).collect();
    let net = Net::from_weights(network, weights);
    let is_matrix = matrices(&network);
    let mut optimizer = Optimizer::new(net.weights(), &is_matrix);
    let mut position = Position { step: 0, chunk: 0, optimizer_steps: 0 };
    if checkpoint.exists() {
        position = serde_json::from_str(&fs::read_to_string(paths.run.join("position.json"))?)?;
        optimizer.restore(
            &Tensor::read_safetensors(paths.run.join("optimizer.safetensors"))?,
            position.optimizer_steps,
        );
    }
    run(config, paths, &source, &net, &mut optimizer, &mut position)
}

fn run(
    config: &TrainConfig,
    paths: &Paths,
    source: &Arc<Source>,
    net: &Net,
    optimizer: &mut Optimizer,
    position: &mut Position,
) -> Result<()> {
    let device = net.weights()[0].device();
    let mut curve = File::options().create(true).append(true).open(paths.run.join("curve.csv"))?;
    if position.step == 0 {
        writeln!(curve, "step,seconds,examples,lexemes,loss,ops,inserts,content,hits,grad,lr")?;
    }
    let mut feed = Feed::new(source, config, position.chunk);
    let bar = ProgressBar::new(config.n_steps).with_position(position.step);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left, {msg}")?);
    let start = Instant::now();
    let kind = if config.bf16 { fast_kind(device) } else { Kind::Float };
    let mut sums = Tensor::zeros([5], (Kind::Float, device));
    let (mut n_examples, mut n_lexemes, mut n_since) = (0usize, 0usize, 0u32);
    while position.step < config.n_steps {
        let examples = feed.next()?;
        n_examples += examples.len();
        n_lexemes += examples.iter().map(|example| example.input.len()).sum::<usize>();
        let loss = loss(&net.cast(kind), &examples, device);
        let grads =
            Tensor::run_backward(&[&loss.total], &net.weights().iter().collect::<Vec<_>>(), false, false);
        let lr = config.lr * shape(config, position.step);
        let grad = optimizer.step(
            net.weights(),
            &grads,
            Rates { lr, weight_decay: config.weight_decay, clip: config.clip },
        );
        let _ = sums.g_add_(
            &Tensor::stack(
                &[
                    loss.total.detach(),
                    loss.ops.detach(),
                    loss.inserts.detach(),
                    loss.content.detach(),
                    loss.hits,
                ],
                0,
            )
            .to_kind(Kind::Float),
        );
        position.step += 1;
        n_since += 1;
        if position.step.is_multiple_of(50) || position.step == config.n_steps {
            let means: Vec<f32> = Vec::try_from((&sums / f64::from(n_since)).to_device(Device::Cpu))?;
            let seconds = start.elapsed().as_secs_f64();
            let grad = f64::try_from(&grad)?;
            writeln!(
                curve,
                "{},{seconds:.1},{n_examples},{n_lexemes},{:.4},{:.4},{:.4},{:.4},{:.4},{grad:.3},{lr:.6}",
                position.step, means[0], means[1], means[2], means[3], means[4]
            )?;
            let line = format!(
                "loss {:.3} hits {:.3} {:.0} lexemes/s",
                means[0],
                means[4],
                n_lexemes as f64 / seconds
            );
            bar.set_message(line.clone());
            if bar.is_hidden() && position.step.is_multiple_of(500) {
                writeln!(std::io::stderr(), "step {} {line}", position.step)?;
            }
            let _ = sums.zero_();
            n_since = 0;
        }
        bar.set_position(position.step);
        if position.step.is_multiple_of(config.save_every) || position.step == config.n_steps {
            position.chunk = feed.chunk;
            save(paths, net, optimizer, position)?;
        }
    }
    bar.finish();
    save_weights(&paths.run.join("weights.safetensors"), net, Kind::Half)
}

fn save(paths: &Paths, net: &Net, optimizer: &Optimizer, position: &mut Position) -> Result<()> {
    let (state, n_steps) = optimizer.state();
    position.optimizer_steps = n_steps;
    save_weights(&paths.run.join("checkpoint.safetensors"), net, Kind::Float)?;
    save_tensors(&paths.run.join("optimizer.safetensors"), &state)?;
    fs::write(paths.run.join("position.json"), serde_json::to_string(position)?)?;
    Ok(())
}

/// Climbs, stays, falls to zero.
fn shape(config: &TrainConfig, step: u64) -> f64 {
    let at = (step as f64 + 1.0) / config.n_steps as f64;
    (at / config.warmup.max(1e-9)).min(1.0).min((1.0 - at).max(0.0) / config.decay.max(1e-9)).min(1.0)
}

/// Which weights Muon moves: matrices between layers, not embeddings or small heads.
fn matrices(network: &ModelConfig) -> Vec<bool> {
    super::model::layout(network)
        .iter()
        .map(|(name, shape, _)| {
            shape.len() == 2
                && (name.starts_with("blocks.")
                    || name.starts_with("gap.left")
                    || name.starts_with("gap.right")
                    || name.starts_with("write.")
                    || name.starts_with("copy."))
        })
        .collect()
}

fn open_source(config: &TrainConfig, paths: &Paths) -> Result<Source> {
    let language = lang::by_name(&config.language)
        .with_context(|| format!("`{}` is not a language", config.language))?;
    let mut profile: Profile = toml::from_str(&fs::read_to_string(&paths.noise)?)
        .with_context(|| format!("`{}`", paths.noise.display()))?;
    let mut corpora = Vec::new();
    for (path, weight) in &config.corpora {
        let corpus = Corpus::load(&paths.data.join(path))?;
        ensure!(!corpus.is_empty(), "`{}` is empty", path.display());
        corpora.push((corpus, *weight));
    }
    let pairs: Vec<Pair> =
        config.pairs.as_ref().map(|path| read_lines(&paths.data.join(path))).transpose()?.unwrap_or_default();
    let read = |text: &str| State::new(text.to_owned(), language.style());
    let learn = |pair: &Pair| {
        let fixed = pair.fixed_min.as_ref().unwrap_or(&pair.fixed);
        Habit::learn(&read(fixed), &read(&pair.broken), &profile.keywords)
    };
    profile.habits = pairs.iter().filter_map(learn).collect();
    let pairs_share = if pairs.is_empty() { 0.0 } else { config.pairs_share };
    let vocabulary = paths.run.join("tokenizer.json");
    let mut source = Source {
        language,
        tokens: Tokens::empty(),
        profile,
        corpora,
        pairs,
        pairs_share,
        keeps_parsing: config.keeps_parsing,
        max_len: usize::try_from(config.max_len)?,
    };
    if let Some(init) = paths.init.as_ref().filter(|_| !vocabulary.exists()) {
        fs::copy(init.join("tokenizer.json"), &vocabulary)
            .with_context(|| format!("copying the vocabulary of `{}`", init.display()))?;
    }
    source.tokens = if vocabulary.exists() {
        let n_emit = match &paths.init {
            Some(init) => {
                toml::from_str::<PackFile>(&fs::read_to_string(init.join("model.toml"))?)?.network.n_emit
            }
            None => i64::try_from(config.n_emit)?,
        };
        Tokens::load(&vocabulary, usize::try_from(n_emit)?)?
    } else {
        let tokens = learn_vocabulary(&source, config)?;
        tokens.save(&vocabulary)?;
        tokens
    };
    Ok(source)
}

/// Learns the vocabulary from damaged and good windows alike, since both are read.
fn learn_vocabulary(source: &Source, config: &TrainConfig) -> Result<Tokens> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ 0x0076_6f63_6162);
    let mut documents: Vec<Vec<String>> = Vec::new();
    let lexemes = |text: String| {
        let state = State::new(text, source.language.style());
        (0..state.len()).map(|idx| state.lexeme(idx).into_owned()).collect::<Vec<_>>()
    };
    while documents.len() < 120_000 {
        let Some(damaged) = source.draw_damage(&mut rng) else { continue };
        documents.push(lexemes(damaged.state.apply(&damaged.events)));
        if documents.len().is_multiple_of(4) {
            documents.push(lexemes(damaged.state.text));
        }
    }
    let mut always: Vec<String> = source.profile.keywords.clone();
    always.extend((0..=60).map(|n| format!("\n{}", " ".repeat(n))));
    always.extend((1..=6).map(|n| format!("\n{}", "\t".repeat(n))));
    let sizes = Sizes { emit: config.n_emit, pieces: config.n_pieces };
    Tokens::train(documents.iter().map(Vec::as_slice), &always, sizes)
}

/// Turns the workers' chunks into batches.
struct Feed {
    receivers: Vec<std::sync::mpsc::Receiver<Vec<Example>>>,
    ready: Vec<Vec<Example>>,
    rng: ChaCha8Rng,
    batch_lexemes: usize,
    /// Next chunk of every worker.
    chunk: u64,
}

impl Feed {
    fn new(source: &Arc<Source>, config: &TrainConfig, chunk: u64) -> Self {
        let receivers = stream(source, config.seed, config.n_workers, chunk);
        let rng = ChaCha8Rng::seed_from_u64(config.seed ^ chunk);
        Self { receivers, ready: Vec::new(), rng, batch_lexemes: config.batch_lexemes, chunk }
    }

    fn next(&mut self) -> Result<Vec<Example>> {
        while self.ready.is_empty() {
            let mut pool = Vec::new();
            let mut n_lexemes = 0;
            while n_lexemes < 24 * self.batch_lexemes {
                for receiver in &self.receivers {
                    let examples = receiver.recv().context("a thread that damages code has ended")?;
                    n_lexemes += examples.iter().map(|example| example.input.len()).sum::<usize>();
                    pool.extend(examples);
                }
                self.chunk += 1;
            }
            self.ready = batches(pool, self.batch_lexemes, &mut self.rng);
        }
        Ok(self.ready.pop().expect("not empty"))
    }
}

/// Puts inputs side by side on the device.
pub fn collate(inputs: &[&Input], device: Device) -> Batch {
    let len = pad_to(inputs.iter().map(|input| input.len()).max().unwrap_or(1));
    let n = inputs.len();
    let mut pieces = vec![0i16; n * len * PIECES];
    let [mut hints, mut faults, mut marks, mut valid] = std::array::from_fn(|_| vec![0u8; n * len]);
    let mut levels = vec![0u8; n];
    for (row, input) in inputs.iter().enumerate() {
        let start = row * len;
        for (i, word) in input.pieces.iter().enumerate() {
            for (j, piece) in word.iter().enumerate() {
                pieces[(start + i) * PIECES + j] = i16::try_from(*piece).expect("small vocabulary");
            }
        }
        hints[start..start + input.len()].copy_from_slice(&input.hints);
        faults[start..start + input.len()].copy_from_slice(&input.faults);
        marks[start..start + input.len()].copy_from_slice(&input.marks);
        valid[start..start + input.len()].fill(1);
        levels[row] = input.level;
    }
    let (n, len) = (n as i64, len as i64);
    let place = |values: &[u8], shape: &[i64]| {
        Tensor::from_slice(values).to_device(device).to_kind(Kind::Int64).view(shape)
    };
    Batch {
        pieces: Tensor::from_slice(&pieces).to_device(device).to_kind(Kind::Int64).view([
            n,
            len,
            PIECES as i64,
        ]),
        hints: place(&hints, &[n, len]),
        faults: place(&faults, &[n, len]),
        marks: place(&marks, &[n, len]),
        levels: place(&levels, &[n]),
        valid: place(&valid, &[n, len]).to_kind(Kind::Bool),
    }
}

/// Negative log-likelihood of the events, in nats an example, and its parts.
pub struct Loss {
    pub total: Tensor,
    pub ops: Tensor,
    pub inserts: Tensor,
    pub content: Tensor,
    /// Share of written lexemes that were the likeliest.
    pub hits: Tensor,
}

pub fn loss(net: &Net, examples: &[Example], device: Device) -> Loss {
    let inputs: Vec<&Input> = examples.iter().map(|example| &example.input).collect();
    let batch = collate(&inputs, device);
    let odds = net.forward(&batch);
    let (n, len) = (examples.len(), usize::try_from(odds.hidden.size()[1]).expect("positive"));
    let labels = |of: fn(&Example) -> &[u8], skip_first: bool| {
        let mut flat = vec![-100i16; n * len];
        for (row, example) in examples.iter().enumerate() {
            for (i, label) in of(example).iter().enumerate().skip(usize::from(skip_first)) {
                flat[row * len + i] = i16::from(*label);
            }
        }
        Tensor::from_slice(&flat).to_device(device).to_kind(Kind::Int64)
    };
    let scale = 1.0 / n as f64;
    let sum = |logits: &Tensor, classes: i64, labels: &Tensor| {
        logits.view([-1, classes]).cross_entropy_loss::<Tensor>(labels, None, tch::Reduction::Sum, -100, 0.0)
            * scale
    };
    let ops = sum(&odds.ops, 3, &labels(|example| &example.ops, false));
    let inserts = sum(&odds.inserts, 2, &labels(|example| &example.inserts, true));
    let mut content = Tensor::zeros([], (Kind::Float, device));
    let mut hits = Tensor::zeros([], (Kind::Float, device));
    let mut n_places = 0usize;
    for is_insert in [false, true] {
        let places = Places::new(examples, is_insert, len, device);
        let Some(places) = places else {
            // Every weight needs a gradient, also in a batch that writes nothing.
            content += net.write_head(is_insert).sum(Kind::Float) * 0.0;
            continue;
        };
        let logits = net.write(&odds, &batch, &places.rows, &places.at, is_insert);
        let width = logits.size()[1];
        let right = places.targets(width, net.config.n_emit);
        let likely =
            logits.masked_fill(&right.logical_not(), f64::NEG_INFINITY).logsumexp([1i64].as_slice(), false);
        content += (logits.logsumexp([1i64].as_slice(), false) - likely).sum(Kind::Float) * scale;
        let best = logits.argmax(1, true);
        hits += right.gather(1, &best, false).to_kind(Kind::Float).sum(Kind::Float);
        n_places += places.n;
    }
    Loss { total: &ops + &inserts + &content, ops, inserts, content, hits: hits / (n_places.max(1) as f64) }
}

/// Places to write, and what belongs there.
struct Places {
    n: usize,
    rows: Tensor,
    at: Tensor,
    ids: Tensor,
    wanted: Tensor,
    groups: Tensor,
}

impl Places {
    fn new(examples: &[Example], is_insert: bool, len: usize, device: Device) -> Option<Self> {
        let (mut rows, mut at, mut ids, mut wanted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut groups = Vec::new();
        for (row, example) in examples.iter().enumerate() {
            for content in example.contents.iter().filter(|content| content.is_insert == is_insert) {
                rows.push(row as i64);
                at.push(i64::from(content.at));
                ids.push(content.id.map_or(-1, i64::from));
                wanted.push(content.group.map_or(-1, i64::from));
                let from = groups.len();
                groups.extend(example.input.groups.iter().map(|group| i16::try_from(*group).expect("short")));
                groups.resize(from + len, -2);
            }
        }
        let on = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        (!rows.is_empty()).then(|| Self {
            n: rows.len(),
            rows: on(&rows),
            at: on(&at),
            ids: on(&ids),
            wanted: on(&wanted),
            groups: Tensor::from_slice(&groups).to_device(device).to_kind(Kind::Int64).view([-1, len as i64]),
        })
    }

    /// Which entries of the vocabulary and of the window are right: `[places, width]`.
    fn targets(&self, width: i64, n_emit: i64) -> Tensor {
        let entries = Tensor::arange(n_emit, (Kind::Int64, self.ids.device())).unsqueeze(0);
        let written = entries.eq_tensor(&self.ids.unsqueeze(1));
        let copied = self.groups.eq_tensor(&self.wanted.unsqueeze(1));
        debug_assert_eq!(width, n_emit + copied.size()[1]);
        Tensor::cat(&[written, copied], 1)
    }
}

/// Writes damaged texts, each with the good one, a JSON object a line.
pub fn pairs(config: &TrainConfig, paths: &Paths, n: usize, out: &mut dyn Write) -> Result<()> {
    let source = open_source(config, paths)?;
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut number = 0;
    while number < n {
        let Some(damaged) = source.draw_damage(&mut rng) else { continue };
        // What parses shows no fault to start from, unless that is what the run is for.
        if damaged.faults.is_empty() != config.keeps_parsing {
            continue;
        }
        let fixed = damaged.state.apply(&damaged.events);
        let id = format!("{}-{}-{number}", config.language, config.seed);
        let row = json!({ "id": id, "lang": config.language, "broken": damaged.state.text, "fixed": fixed });
        writeln!(out, "{row}")?;
        number += 1;
    }
    Ok(())
}

/// Counts how often each kind of damage leads to an example, for looking at a profile.
pub fn preview(config: &TrainConfig, paths: &Paths, n: usize, out: &mut dyn Write) -> Result<()> {
    let source = open_source(config, paths)?;
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let (mut shown, mut tried) = (0, 0u32);
    let mut sizes: HashMap<usize, u32> = HashMap::new();
    let start = Instant::now();
    while shown < n {
        tried += 1;
        let Some(damaged) = source.draw_damage(&mut rng) else { continue };
        shown += 1;
        *sizes.entry(damaged.events.len().min(20)).or_default() += 1;
        if shown <= 60 {
            let message = damaged.faults.first().map_or("parses", |fault| fault.message.as_str());
            writeln!(out, "==== {:?}\n{}\n---- {message}", damaged.events, damaged.state.text)?;
        }
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_unstable();
    writeln!(out, "{shown} of {tried} draws in {:.1} s; events: {sizes:?}", start.elapsed().as_secs_f64())?;
    Ok(())
}
