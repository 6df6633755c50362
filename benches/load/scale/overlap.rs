//! Selectors that overlap badly: many services of the same Pods, and one service of very many.

use anyhow::Result;

use super::{Format, Mesh, Meshdns, Options, Report, Selects, folder, mebibytes, scratch};

/// An answer of this length or more is as full as 64 KiB allow: meshdns keeps room for a question and for EDNS.
const FULL_BYTES: usize = 63 << 10;

/// Serves both meshes, one after the other.
pub(super) fn measure(options: &Options, report: &mut Report) {
    let many = Mesh {
        services: 10_000 / options.divisor(),
        pods: 1,
        vms: 0,
        namespaces: 1,
        objects_a_file: 200,
        selects: Selects::Everyone,
        format: Format::Yaml,
    };
    let one = Mesh {
        services: 1,
        pods: 100_000 / options.divisor(),
        ..many
    };
    for mesh in [many, one] {
        let pods = mesh.services * mesh.pods;
        let what = format!(
            "{} ServiceEntries select the same {pods} Pods",
            mesh.services
        );
        report.step(&what, |report| serve(options, &mesh, &what, report));
    }
}

fn serve(options: &Options, mesh: &Mesh, what: &str, report: &mut Report) -> Result<()> {
    let scratch = scratch()?;
    let kept = folder::kept(mesh)?;
    let (meshdns, start) = Meshdns::start_ready(&[kept], options.workers, scratch.path())?;
    report.tell(
        &format!("{what}: start to ready"),
        &format!(
            "{:.1} s (CPU {:.1} s), RSS {:.0} MiB (peak {:.0} MiB)",
            start.time.as_secs_f64(),
            start.cpu.as_secs_f64(),
            mebibytes(start.memory.resident),
            mebibytes(start.memory.peak)
        ),
    );
    let host = Mesh::host(0);
    let client = super::server::Client::of(&meshdns)?;
    let is_truncated = client.ask(&host, |reply| reply.is_truncated() && reply.rcode() == 0)?;
    let told = if is_truncated {
        "truncated"
    } else {
        "not truncated"
    };
    report.judge("answer over UDP", told, "truncated", is_truncated);
    let (bytes, records) = meshdns.ask_over_tcp(&host)?;
    let pods = mesh.services * mesh.pods;
    let is_full = records as usize == pods || bytes >= FULL_BYTES;
    report.judge(
        "answer over TCP",
        &format!("{records} records in {bytes} bytes"),
        "all, or as many as 64 KiB hold",
        is_full,
    );
    Ok(())
}
