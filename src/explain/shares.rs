//! How a host's questions are shared out, in text.

use std::{
    io::{self, Write},
    sync::Arc,
};

use crate::{
    manifest::{AnswerMode, MaxAddresses},
    mesh::Service,
    select::{AskedBy, Group, Split},
    zone::{Asker, Role},
};

/// Tells what each group is to have and has, who says so, and what an answer to `asker` holds.
pub(super) fn write(
    out: &mut dyn Write,
    split: &Split,
    chosen: &[Arc<Service>],
    asker: Option<Asker>,
) -> io::Result<()> {
    if split.groups.len() > 1 {
        let groups: Vec<String> = split.groups.iter().map(group).collect();
        let by = match split.asked_by {
            Some(AskedBy::Configuration) => "by answers.shares of the configuration".to_owned(),
            Some(AskedBy::Service(index)) => {
                let service = &chosen[index];
                format!("by annotation meshdns.io/share, {}", service.origin())
            }
            None => "by weight: nobody asks for shares".to_owned(),
        };
        writeln!(out, "  share   {}", groups.join("   "))?;
        writeln!(out, "          {by}")?;
    }
    let asker = asker.unwrap_or(Asker::DIRECT);
    let mode = match asker.role {
        Role::Direct => split.direct,
        Role::Forwarder => split.forwarder,
    };
    writeln!(out, "  answer  {}", answer(split, mode))?;
    if let Some(nearness) = split.nearness {
        let carried = match nearness.health_factor {
            Some(factor) => format!("while {:.0} % of them are in", 100.0 / factor),
            None => "while one of them is in".to_owned(),
        };
        writeln!(
            out,
            "          those in the asker's zone alone {carried}, then its region's, then all"
        )?;
    }
    for (is_v4, record_type) in [(true, "A"), (false, "AAAA")] {
        let is_had = split.groups.iter().any(|group| {
            let mut members = group.members.iter();
            group.effective > 0.0 && members.any(|member| member.address.is_ipv4() == is_v4)
        });
        if !is_had || split.has_in_common(is_v4) || !split.has_in_common(!is_v4) {
            continue;
        }
        let without = split.groups.iter().filter(|group| {
            let has_family = group
                .members
                .iter()
                .any(|member| member.address.is_ipv4() == is_v4);
            group.effective > 0.0 && !has_family
        });
        let without: Vec<&str> = without.map(|group| &*group.name).collect();
        writeln!(
            out,
            "          {record_type} has no data while {} has a share and no such address",
            without.join(", ")
        )?;
    }
    Ok(())
}

fn group(group: &Group) -> String {
    format!(
        "{} {} % wanted, {} % now ({} of {} in)",
        group.name,
        percent(group.wanted),
        percent(group.effective),
        group.in_count,
        group.in_count + group.unready_count
    )
}

fn answer(split: &Split, mode: AnswerMode) -> String {
    let sharing = split.groups.iter().filter(|group| group.effective > 0.0);
    let sharing: Vec<&Group> = sharing.collect();
    let most = match split.max_addresses {
        Some(MaxAddresses::Number(number)) => format!(", at most {number} of each family"),
        _ => String::new(),
    };
    match (mode, &*sharing) {
        (_, []) => "nothing: nobody who has a share is in".to_owned(),
        (AnswerMode::All, _) => format!("all addresses of who has a share, in random order{most}"),
        (_, [one]) if split.groups.len() > 1 => {
            format!(
                "all addresses of {}, which has every question{most}",
                one.name
            )
        }
        (AnswerMode::Mix, _) => {
            format!("a set in the proportion of the shares, drawn for each question{most}")
        }
        (AnswerMode::Side, _) => {
            let sides: Vec<String> = sharing
                .iter()
                .map(|group| format!("{} {} %", group.name, percent(group.effective)))
                .collect();
            let addresses = split.side_addresses;
            format!(
                "up to {addresses} addresses of one side, drawn for each question: {}{most}",
                sides.join(", ")
            )
        }
    }
}

/// With as many decimals as are needed, two at most.
fn percent(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
