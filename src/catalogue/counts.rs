use crate::{
    diagnostic::Kind,
    select::{Selection, Source},
};

/// How many endpoints of a host answer, and how many don't.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InOut {
    /// They answer.
    pub in_count: u32,
    /// They don't.
    pub out_count: u32,
}

impl InOut {
    fn add(&mut self, is_in: bool) {
        *(if is_in {
            &mut self.in_count
        } else {
            &mut self.out_count
        }) += 1;
    }

    /// All of them.
    pub fn all(self) -> u32 {
        self.in_count + self.out_count
    }
}

/// The candidates of a host by what they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HostCounts {
    /// Pods.
    pub pods: InOut,
    /// WorkloadEntries.
    pub vms: InOut,
    /// Addresses that stand in ServiceEntries.
    pub inline: InOut,
    /// Names that stand in ServiceEntries.
    pub names: InOut,
}

/// What a host is on its way from VMs to Pods.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum HostState {
    /// It has candidates, and none of them answers.
    Empty,
    /// VMs answer, and addresses in ServiceEntries, which are as good as VMs here.
    Vm,
    /// Both answer.
    Mixed,
    /// Pods answer.
    Pod,
    /// All its candidates are names.
    Names,
    /// It has no candidate.
    None,
}

impl HostState {
    /// All of them, those first that ask for somebody.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Vm,
        Self::Mixed,
        Self::Pod,
        Self::Names,
        Self::None,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Vm => "vm",
            Self::Mixed => "mixed",
            Self::Pod => "pod",
            Self::Names => "names",
            Self::None => "none",
        }
    }
}

impl HostCounts {
    /// Counts the candidates of a selection.
    pub fn of(selection: &Selection) -> Self {
        let mut counts = Self::default();
        for candidate in &selection.candidates {
            let of_kind = match &candidate.source {
                Source::Workload(workload) if workload.key.kind == Kind::Pod => &mut counts.pods,
                Source::Workload(_) => &mut counts.vms,
                Source::Inline(_) | Source::Addresses if candidate.named.is_some() => {
                    &mut counts.names
                }
                Source::Inline(_) | Source::Addresses => &mut counts.inline,
            };
            of_kind.add(selection.is_in(candidate));
        }
        counts
    }

    /// All kinds together.
    pub fn total(self) -> InOut {
        let all = [self.pods, self.vms, self.inline, self.names];
        InOut {
            in_count: all.iter().map(|counts| counts.in_count).sum(),
            out_count: all.iter().map(|counts| counts.out_count).sum(),
        }
    }

    /// How many VMs answer, with the endpoints that stand in ServiceEntries: they are the before of a migration.
    pub fn vms_in(self) -> u32 {
        self.vms.in_count + self.inline.in_count
    }

    /// What the host is.
    pub fn state(self) -> HostState {
        let total = self.total();
        if total.all() == 0 {
            return HostState::None;
        }
        if total.in_count == 0 {
            return HostState::Empty;
        }
        if self.names.all() == total.all() {
            return HostState::Names;
        }
        match (self.pods.in_count > 0, self.vms_in() > 0) {
            (true, true) => HostState::Mixed,
            (true, false) => HostState::Pod,
            (false, true) => HostState::Vm,
            // Names alone answer.
            (false, false) => HostState::Names,
        }
    }
}
