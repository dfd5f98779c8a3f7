//! The changed files of a pull request: from this clone where it holds them, else from GitHub; then judged and repaired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::target::Target;
use crate::cli::check::{Finding, failed, shown_path};
use crate::cli::fix::Fixer;
use crate::cli::hook::{LFS, Look, excluded, is_pointer, judge, may_be_ours, without_disguise};
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::io::git::{Changed, Content, GitError, Repo};
use crate::io::github::{Github, Special};
use crate::ports::EngineError;
use crate::report::{FileReport, Outcome};
use crate::review::{Hunk, Remark, hunks};

/// What a pull request changes.
pub(in crate::cli) struct Found {
    pub(super) number: Option<u64>,
    /// The commit that is looked at.
    pub(super) head: String,
    pub(super) hunks: BTreeMap<String, Vec<Hunk>>,
    /// What people should know about it.
    pub(super) notes: Vec<String>,
    looks: Vec<Look>,
    root: PathBuf,
    /// Where another run looked at the files: the names of their texts in git's store.
    unseen: Option<BTreeMap<String, String>>,
}

impl Found {
    /// One whose files were looked at elsewhere.
    pub(super) fn of_others(
        number: u64,
        head: String,
        hunks: BTreeMap<String, Vec<Hunk>>,
        texts: BTreeMap<String, String>,
    ) -> Self {
        Self { hunks, unseen: Some(texts), ..Self::of_none(Some(number), head, PathBuf::new()) }
    }

    /// One of files that commits up to `head` change.
    pub(in crate::cli) fn of_changed(
        changed: Vec<Changed>,
        head: &str,
        repo: &Repo,
        session: &Session,
    ) -> Self {
        let mut found = Self::of_none(None, head.to_owned(), repo.root().to_owned());
        found.take(changed, repo, session);
        found
    }

    fn of_none(number: Option<u64>, head: String, root: PathBuf) -> Self {
        let (hunks, notes, looks) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { number, head, hunks, notes, looks, root, unseen: None }
    }

    /// Those of our `stale` remarks that are over for sure: another run may have had no repair for their files.
    pub(super) async fn over(&self, stale: Vec<u64>, remarks: &[Remark], github: &Github) -> Vec<u64> {
        let Some(texts) = &self.unseen else { return stale };
        let mut over = Vec::new();
        for remark in remarks.iter().filter(|remark| stale.contains(&remark.id)) {
            let is_over = match texts.get(&remark.path) {
                Some(sha) if !self.hunks.contains_key(&remark.path) => {
                    self.parses(&remark.path, sha, github).await
                }
                // It has another repair now, or is changed no more.
                _ => true,
            };
            over.extend(is_over.then_some(remark.id));
        }
        over
    }

    async fn parses(&self, path: &str, sha: &str, github: &Github) -> bool {
        match github.text(&self.head, path, sha).await {
            Ok(Ok(bytes)) => {
                let looks = judge(path.into(), bytes);
                looks.iter().all(|look| matches!(look, Look::Healthy(_)))
            }
            _ => false,
        }
    }

    pub(super) fn name(&self) -> String {
        self.number.map_or_else(|| self.head.chars().take(12).collect(), |number| format!("#{number}"))
    }
}

/// Finds them; the inner error says that another commit has arrived.
pub(super) async fn find(
    target: &Target,
    github: Option<&Github>,
    session: &Session,
) -> Result<Result<Found, String>> {
    let (mut base, mut head) = (target.base.clone(), target.head.clone());
    let repo = Repo::open();
    if let (Some(name), Ok(repo)) = (&head, &repo) {
        // What this clone does not hold is named in full already, or is not found below.
        head = repo.commit(name).ok().or(head);
    }
    if let (Some(github), Some(number)) = (github, target.number) {
        let pull = github.pull(number).await?;
        if let Some(moved) = head.as_deref().and_then(|head| moved(number, head, &pull.head.sha)) {
            return Ok(Err(moved));
        }
        (base, head) = (base.or(Some(pull.base.sha)), Some(pull.head.sha));
    }
    let head = head.unwrap_or_else(|| "HEAD".to_owned());
    let Some(base) = base else {
        bail!("the commit that changes are counted from is not known: name it with `--base`")
    };
    let root = repo.as_ref().map_or_else(|_| std::path::absolute("."), |repo| Ok(repo.root().to_owned()))?;
    let mut found = Found::of_none(target.number, head, root);
    let local = repo.and_then(|repo| Ok((repo.commit(&found.head)?, repo)));
    let listed = match local {
        Ok((head, repo)) => {
            found.head = head;
            changed(Some(&base), &found.head, &repo, session)
                .map(|changed| found.take(changed, &repo, session))
        }
        Err(error) => Err(error.into()),
    };
    match (listed, github, target.number) {
        (Ok(()), ..) => {}
        (Err(error), Some(github), Some(number)) if error.downcast_ref::<GitError>().is_some() => {
            found.notes.push(format!(
                "{error}, so GitHub was asked for the files; `fetch-depth: 0` for actions/checkout saves the requests"
            ));
            found.ask(github, number, session).await?;
        }
        (Err(error), ..) => return Err(error),
    }
    Ok(Ok(found))
}

/// What to say when `now` is another commit than the one that was looked at.
pub(super) fn moved(number: u64, head: &str, now: &str) -> Option<String> {
    let short = |sha: &str| sha.chars().take(12).collect::<String>();
    (head != now).then(|| {
        format!(
            "#{number} is at {} now, no longer at {}: its own run says what to say",
            short(now),
            short(head)
        )
    })
}

/// The files of ours that `head` changes since it left `base`, in a clone that holds both.
pub(in crate::cli) fn changed(
    base: Option<&str>,
    head: &str,
    repo: &Repo,
    session: &Session,
) -> Result<Vec<Changed>> {
    let is_excluded = excluded(repo.root(), session)?;
    Ok(repo.changed(base, head, &|path| may_be_ours(path) && !is_excluded(path))?)
}

impl Found {
    /// Reads them from this clone.
    fn take(&mut self, changed: Vec<Changed>, repo: &Repo, session: &Session) {
        for file in changed {
            let Content::Text(id) = file.content else { continue };
            self.hunks.insert(shown_path(&file.path), file.hunks);
            let size = repo.size(id) as u64;
            if let Err(skip) = session.config.files.limit(&file.path).check(size) {
                self.looks.push(Look::LeftAlone(file.path, skip.to_string()));
                continue;
            }
            match repo.read(&file.path, id) {
                Ok(bytes) => self.look(file.path, bytes, session),
                Err(error) => self.looks.push(Look::Failed(file.path, error.to_string())),
            }
        }
        let looks = std::mem::take(&mut self.looks).into_iter();
        self.looks = looks.map(|look| without_disguise(repo, look)).collect();
    }

    /// Reads them from GitHub.
    async fn ask(&mut self, github: &Github, number: u64, session: &Session) -> Result<()> {
        let is_excluded = excluded(&self.root, session)?;
        let pull = github.pull(number).await?;
        let files = github.files(number).await?;
        if files.len() < pull.changed_files {
            let (n, all) = (files.len(), pull.changed_files);
            self.notes.push(format!("GitHub lists {n} of {all} changed files; the rest was not looked at"));
        }
        let mut n_unshown = 0;
        for file in files {
            let path = PathBuf::from(&file.filename);
            let is_ours = may_be_ours(&path) && !is_excluded(&path) && is_inside(&path);
            let Some(sha) = file.sha.filter(|_| is_ours && file.status != "removed") else { continue };
            n_unshown += usize::from(file.patch.is_none() && file.status != "renamed");
            let bytes = match github.text(&self.head, &file.filename, &sha).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(Special::Link | Special::Submodule)) => continue,
                Ok(Err(unknown @ Special::Unknown)) => {
                    self.looks.push(Look::LeftAlone(path, unknown.to_string()));
                    continue;
                }
                Err(error) => {
                    self.looks.push(Look::Failed(path, error.to_string()));
                    continue;
                }
            };
            let shown = file.patch.as_deref().and_then(hunks).unwrap_or_default();
            self.hunks.insert(file.filename, shown);
            match session.config.files.limit(&path).check(bytes.len() as u64) {
                Ok(()) => self.look(path, bytes, session),
                Err(skip) => self.looks.push(Look::LeftAlone(path, skip.to_string())),
            }
        }
        if n_unshown > 0 {
            self.notes
                .push(format!("GitHub shows no changes of {n_unshown} files, so they get no suggestions"));
        }
        Ok(())
    }

    fn look(&mut self, path: PathBuf, bytes: Vec<u8>, session: &Session) {
        if is_pointer(&bytes) {
            self.looks.push(Look::LeftAlone(path, LFS.to_owned()));
            return;
        }
        self.looks.extend(judge(path, bytes).into_iter().map(|look| match look {
            Look::Faulty(faulty) if session.is_fine(&faulty.file) => Look::Healthy(faulty.file.path),
            look => look,
        }));
    }

    /// What became of each file that is not fine, how many were looked at, and why the engine gave no answer. With
    /// `tests`, those of the commit choose among repairs.
    pub(in crate::cli) fn repair(
        &mut self,
        tests: bool,
        session: &mut Session,
    ) -> Result<(Vec<FileReport>, usize, Option<EngineError>)> {
        let (mut reports, mut findings, mut checked) = (Vec::new(), Vec::new(), BTreeSet::new());
        for look in std::mem::take(&mut self.looks) {
            match look {
                Look::Healthy(path) => drop(checked.insert(path)),
                Look::LeftAlone(path, why) => {
                    reports.push(FileReport { path: shown_path(&path), outcome: Outcome::Skipped(why) });
                }
                Look::Failed(path, why) => reports.push(failed(&path, &why)),
                Look::Faulty(mut faulty) => {
                    checked.insert(faulty.file.path.clone());
                    // The project around it is found from its place on disk.
                    faulty.file.path = self.root.join(&faulty.file.path);
                    findings.push(Finding::Broken(faulty.file, faulty.diagnosis));
                }
            }
        }
        let mut fixer = Fixer::reporting(session);
        let repo = Repo::open().ok().filter(|repo| tests && repo.commit(&self.head).is_ok());
        let repaired: Vec<FileReport> = if let Some(repo) = repo {
            fixer.fix_in_commit(findings, (&repo, &self.head))?
        } else {
            if tests {
                self.notes
                    .push("the tests did not run, since this clone does not hold the commit".to_owned());
            }
            let progress = Progress::up_to(findings.len(), "repairing");
            let fix = |finding| {
                progress.advance();
                fixer.fix(finding)
            };
            findings.into_iter().flat_map(fix).collect()
        };
        let root = format!("{}/", shown_path(&self.root));
        reports.extend(repaired.into_iter().map(|report| {
            let path = report.path.strip_prefix(&root).unwrap_or(&report.path).to_owned();
            FileReport { path, ..report }
        }));
        reports.sort_by(|x, y| x.path.cmp(&y.path));
        Ok((reports, checked.len(), fixer.engine_error))
    }
}

/// Whether a path from outside stays below the folder it is relative to.
fn is_inside(path: &Path) -> bool {
    path.components().all(|component| matches!(component, std::path::Component::Normal(_)))
}
