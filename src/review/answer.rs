//! What an answer of GitHub asks for: go on, wait, look whether it was done, or stop.

use std::time::Duration;

/// The parts of an answer that tell what to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Seconds, from the header `retry-after`.
    pub retry_after: Option<u64>,
    /// From `x-ratelimit-remaining`; GitHub Enterprise sends none.
    pub remaining: Option<u64>,
    /// From `x-ratelimit-reset`, in seconds since 1970.
    pub reset: Option<u64>,
    /// From the body.
    pub message: String,
}

/// What to do after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was done.
    Done,
    /// It was not done; ask again after this long.
    Wait(Duration),
    /// Perhaps it was done: what writes must look before it asks again after this long.
    Unsure(Duration),
    /// The token is wrong or too old.
    Unauthorized,
    /// The token may not do this.
    Forbidden,
    /// There is no such thing, or the token may not see it.
    Missing,
    /// It is elsewhere, where the token does not go.
    Moved,
    /// Something in the request is wrong.
    Invalid,
    Stop,
}

/// Without a word from GitHub about how long.
const SECONDARY_WAIT: u64 = 60;

impl Answer {
    /// What to do, when it is the answer to the `attempt`th try, from 0, at `now` in seconds since 1970.
    pub fn next(&self, attempt: u32, now: u64) -> Next {
        let wait = |seconds: u64| Next::Wait(Duration::from_secs(seconds));
        let message = self.message.to_ascii_lowercase();
        let is_secondary = message.contains("secondary rate limit") || message.contains("abuse detection");
        let is_limit = is_secondary || message.contains("rate limit");
        match self.status {
            200..=299 => Next::Done,
            403 | 429 if self.retry_after.is_some() => wait(self.retry_after.unwrap_or_default().max(1)),
            // `remaining` speaks of the primary limit, which a secondary one does not touch.
            403 | 429 if self.remaining == Some(0) && !is_secondary => {
                wait(self.reset.map_or(SECONDARY_WAIT, |reset| reset.saturating_sub(now) + 1))
            }
            403 if !is_limit => Next::Forbidden,
            403 | 429 => wait(SECONDARY_WAIT << attempt.min(4)),
            401 => Next::Unauthorized,
            301 | 307 | 308 => Next::Moved,
            404 | 410 => Next::Missing,
            // Said of what is written, and not of what stands in it.
            422 if message.contains("submitted too quickly") => wait(SECONDARY_WAIT << attempt.min(4)),
            422 => Next::Invalid,
            408 | 500..600 => unsure(attempt),
            _ => Next::Stop,
        }
    }
}

/// What to do when there was no answer, or one that says nothing.
pub fn unsure(attempt: u32) -> Next {
    Next::Unsure(Duration::from_secs(1 << attempt.min(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    #[track_caller]
    fn check(answer: &Answer, attempt: u32, expected: &Next) {
        assert_eq!(answer.next(attempt, NOW), *expected, "{answer:?}");
    }

    fn wait(seconds: u64) -> Next {
        Next::Wait(Duration::from_secs(seconds))
    }

    fn answer(status: u16, message: &str) -> Answer {
        Answer { status, message: message.to_owned(), ..Answer::default() }
    }

    #[test]
    fn a_limit_says_how_long() {
        check(&Answer { retry_after: Some(7), ..answer(429, "") }, 0, &wait(7));
        check(&Answer { retry_after: Some(0), ..answer(403, "") }, 0, &wait(1));
        check(&Answer { remaining: Some(0), reset: Some(NOW + 9), ..answer(403, "") }, 0, &wait(10));
        check(&Answer { remaining: Some(0), reset: Some(NOW - 9), ..answer(429, "") }, 0, &wait(1));
    }

    #[test]
    fn a_secondary_limit_without_headers_is_no_missing_permission() {
        let secondary = || answer(403, "You have exceeded a secondary rate limit.");
        check(&secondary(), 0, &wait(60));
        check(&secondary(), 1, &wait(120));
        check(&secondary(), 9, &wait(960));
        check(&Answer { remaining: Some(0), reset: Some(NOW + 3_000), ..secondary() }, 0, &wait(60));
        check(&answer(429, ""), 0, &wait(60));
        check(&answer(422, "Validation Failed: was submitted too quickly"), 1, &wait(120));
        // GitHub Enterprise says so of the primary limit, too.
        check(&answer(403, "API rate limit exceeded for user ID 1."), 0, &wait(60));
    }

    #[test]
    fn the_rest_is_no_reason_to_wait() {
        check(&answer(200, ""), 0, &Next::Done);
        check(&answer(403, "Resource not accessible by integration"), 0, &Next::Forbidden);
        check(&Answer { remaining: Some(9), ..answer(403, "") }, 0, &Next::Forbidden);
        check(&answer(401, "Bad credentials"), 0, &Next::Unauthorized);
        check(&answer(404, ""), 0, &Next::Missing);
        check(&answer(301, "Moved Permanently"), 0, &Next::Moved);
        check(&answer(422, ""), 0, &Next::Invalid);
        check(&answer(302, ""), 0, &Next::Stop);
        check(&answer(502, ""), 2, &Next::Unsure(Duration::from_secs(4)));
    }
}
