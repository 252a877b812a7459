//! Bytes of the fuzzer, taken as choices.

/// What is left of them.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Zero once nothing is left.
    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes().next().copied().unwrap_or_default()
    }

    pub(crate) fn number(&mut self) -> u32 {
        u32::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A place in something of this length; 0 where it has none.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        number % length.max(1)
    }

    pub(crate) fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[usize::from(self.byte()) % things.len()]
    }

    /// At most this many.
    pub(crate) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn bytes(&mut self) -> impl Iterator<Item = &'a u8> {
        self.take(1).iter()
    }
}

/// Changes a text a little, at places and in ways that are chosen.
pub(crate) fn edit(text: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let (kind, at, value) = (choices.byte(), choices.place(text.len()), choices.byte());
    match kind % 7 {
        0 if at < text.len() => text[at] ^= 1 << (value % 8),
        1 if at < text.len() => text[at] = value,
        2 if at < text.len() => {
            text.remove(at);
        }
        3 => text.insert(at, value),
        4 => text.truncate(at),
        5 => text.push(value),
        6 if at < text.len() => {
            let repeated = text[at..].to_vec();
            text.extend(repeated.into_iter().take(usize::from(value)));
        }
        _ => {}
    }
}
