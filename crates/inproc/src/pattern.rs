//! Topic patterns: words between dots, `*` for one word, `#` for any number of them.

pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let topic: Vec<&str> = topic.split('.').collect();
    words(&pattern, &topic)
}

fn words(pattern: &[&str], topic: &[&str]) -> bool {
    match pattern.split_first() {
        None => topic.is_empty(),
        Some((&"#", rest)) => (0..=topic.len()).any(|skipped| words(rest, &topic[skipped..])),
        Some((&word, rest)) => topic
            .split_first()
            .is_some_and(|(first, others)| (word == "*" || word == *first) && words(rest, others)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_takes_what_rabbitmq_would_take() {
        for (pattern, topic, expected) in [
            ("sync.completed", "sync.completed", true),
            ("sync.completed", "sync.failed", false),
            ("sync.*", "sync.completed", true),
            ("sync.*", "sync", false),
            ("sync.*", "sync.completed.twice", false),
            ("#", "anything.at.all", true),
            ("sync.#", "sync", true),
            ("sync.#", "sync.completed.twice", true),
            ("#.completed", "sync.completed", true),
            ("*.completed", "completed", false),
            ("a.#.z", "a.z", true),
            ("a.#.z", "a.b.c.z", true),
            ("a.#.z", "a.b.c", false),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} on {topic}");
        }
    }
}
