//! A login with a password: the challenge endpoint, then the token endpoint.

use std::num::NonZeroUsize;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokensmith::domain::password::Argon2Parameters;

use super::{Plan, Scenario, USUAL_CLIENTS, token, under_load};
use crate::failure::{Doing, Outcome};
use crate::http::Load;
use crate::measure::{cores, work_on};
use crate::people::{self, Login};
use crate::report::Report;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "login",
    about: "CPU time of the service for one login with a password, against one raw Argon2id",
    run: |plan| Box::pin(run(plan)),
};

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    installation.register_phone()?;
    let clients = plan.clients(USUAL_CLIENTS);
    people::sign_up(&installation, clients.into()).await?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let login = people::log_in(service.address(), 0).await?;
    token::verify(&login.access_token, &installation, &service).await?;
    let mut logins = Vec::new();
    for person in 0..usize::from(clients) {
        logins.push(Login::of(service.address(), person).await?);
    }
    let mut load = Load::of(logins);
    // As the service does: hashes on every second core, so that tokens have the others.
    let threads = NonZeroUsize::new(cores()?.get().div_ceil(2)).unwrap_or(NonZeroUsize::MIN);
    let yardstick = |slice| Ok(work_on(threads, slice, raw_argon2id)?.cpu_us());
    let measured = under_load::against(yardstick, &service, &mut load, plan.duration).await?;
    drop(load);
    service.stop().await?;

    let mut report = Report::new(SCENARIO.name);
    report.ops = measured.total.ops;
    report.errors = measured.total.errors;
    report.throughput(measured.total.wall);
    report.latencies(&measured.latencies);
    report.server_cpu(measured.comparison.ours_us);
    report.figure("raw_argon2id_us", measured.comparison.yardstick_us);
    report.figure("ratio_to_argon2id", measured.comparison.ratio);
    Ok(report)
}

/// One hash with the parameters of the service, in memory that is kept from hash to hash.
pub(super) fn raw_argon2id() -> Outcome<impl FnMut() -> Outcome<()>> {
    let usual = Argon2Parameters::default();
    let (memory, passes, lanes) = (usual.memory_kib(), usual.iterations(), usual.parallelism());
    let parameters = Params::new(memory, passes, lanes, Some(32));
    let parameters = parameters.doing("choosing the costs of a hash")?;
    let mut blocks = vec![Block::default(); parameters.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    Ok(move || {
        let mut output = [0; 32];
        let (password, salt) = (people::PASSWORD.as_bytes(), b"sixteen bytes it");
        let hashed =
            argon2.hash_password_into_with_memory(password, salt, &mut output, &mut blocks);
        std::hint::black_box(output);
        hashed.doing("hashing a password")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yardstick_hashes_with_the_costs_of_the_service() {
        let mut hash = raw_argon2id().unwrap();
        hash().unwrap();
        hash().unwrap();
    }
}
