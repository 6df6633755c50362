use super::{question::Mark, shares::ClientNetwork};

/// On whose behalf an upstream is asked.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// The marks of those through whom the question came, and of this process.
    pub(super) marks: Vec<u8>,
    /// Whose places it takes.
    pub(super) client: ClientNetwork,
}

impl Asker {
    /// This server itself.
    pub(super) fn itself(mark: Mark) -> Self {
        Self {
            marks: mark.to_vec(),
            client: ClientNetwork::SELF,
        }
    }
}
