//! The authorisation matrix, made from the contract: every method by everyone, and what nobody may see.

use std::collections::BTreeSet;

use domain::{Role, Session, Token, secret, token};
use process::clock;
use prost_reflect::{Kind, MessageDescriptor};
use secrecy::ExposeSecret as _;
use store::{Author, Change, Expect};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    contract,
    guard::{Rule, rule},
    testing::Bench,
};

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

async fn program(bench: &Bench, role: Role, expires_at_ms: Option<i64>) -> (Token, String) {
    let minted = secret::mint(token::TOKEN_PREFIX).unwrap();
    let token = Token {
        id: minted.id,
        name: format!("program-{role}"),
        role,
        digest: minted.digest,
        created_by: "test".into(),
        user_id: String::new(),
        created_at_ms: 0,
        expires_at_ms,
    };
    bench.commit(Change::new(Author::system("test")).put(&token, Expect::Absent)).await;
    (token, minted.secret.expose_secret().to_owned())
}

#[tokio::test]
async fn every_method_is_refused_to_all_but_those_that_it_is_for() {
    let bench = Bench::start().await;
    for method in contract::methods() {
        let path = contract::path(&method);
        match rule(&method) {
            Rule::Nobody => panic!("{path} declares no access"),
            Rule::Public => {
                let status = bench.grpc(&path, None).await;
                assert_ne!(reason(&status), "NO_CREDENTIALS", "{path}");
            }
            Rule::Role(least) => {
                let status = bench.grpc(&path, None).await;
                assert_eq!(
                    (status.code(), reason(&status).as_str()),
                    (Code::Unauthenticated, "NO_CREDENTIALS"),
                    "{path}"
                );
                for role in Role::ALL {
                    let (_, session) = bench.session(role, clock::unix_ms()).await;
                    let (_, program) = program(&bench, role, None).await;
                    for bearer in [session, program] {
                        let status = bench.grpc(&path, Some(&bearer)).await;
                        let refused = reason(&status) == "ROLE_TOO_LOW";
                        assert_eq!(refused, role < least, "{path} by {role}: {status:?}");
                        assert_ne!(status.code(), Code::Unauthenticated, "{path} by {role}: {status:?}");
                    }
                }
            }
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn ended_tokens_open_nothing() {
    let bench = Bench::start().await;
    let now = clock::unix_ms();
    let (_, expired) = bench.session(Role::Admin, now - 3_600_000).await;
    let (session, revoked) = bench.session(Role::Admin, now).await;
    let (_, program_expired) = program(&bench, Role::Admin, Some(now - 1)).await;
    let (deleted, program_deleted) = program(&bench, Role::Admin, None).await;
    let gone = Change::new(Author::system("test"))
        .delete::<Session>(&session.id, Expect::Any)
        .delete::<Token>(&deleted.id, Expect::Any);
    bench.commit(gone).await;
    let altered = format!("{}A", &program_deleted[..program_deleted.len() - 1]);
    let bearers = [
        (expired.as_str(), "TOKEN_EXPIRED"),
        (&revoked, "SESSION_ENDED"),
        (&program_expired, "INVALID_TOKEN"),
        (&program_deleted, "INVALID_TOKEN"),
        (&altered, "INVALID_TOKEN"),
        ("nonsense", "INVALID_TOKEN"),
        ("crs_jt_0", "INVALID_TOKEN"),
    ];
    for method in contract::methods().filter(|method| rule(method) != Rule::Public) {
        for (bearer, expected) in bearers {
            let status = bench.grpc(&contract::path(&method), Some(bearer)).await;
            let seen = (status.code(), reason(&status));
            assert_eq!(seen, (Code::Unauthenticated, expected.to_owned()), "{}", method.full_name());
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn node_methods_and_unknown_ones_are_not_here() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let status = bench.grpc("/crs.node.v1.ConfigService/Watch", Some(&token)).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = bench.grpc("/crs.admin.v1.KeyService/Nothing", Some(&token)).await;
    assert_eq!(status.code(), Code::Unimplemented);
    let status = bench.grpc("/grpc.health.v1.Health/Check", None).await;
    assert_eq!(status.code(), Code::Ok);
    bench.stop().await;
}

/// All fields that any answer can hold, as `Message.field: type`.
fn response_fields() -> BTreeSet<String> {
    fn visit(message: &MessageDescriptor, seen: &mut BTreeSet<String>, fields: &mut BTreeSet<String>) {
        if !seen.insert(message.full_name().to_owned()) || message.package_name() == "google.protobuf" {
            return;
        }
        let secret = contract::extension(message.parent_pool(), "crs.types.v1.secret").unwrap();
        for field in message.fields() {
            let mark = if field.options().has_extension(&secret) { " (secret)" } else { "" };
            if !message.is_map_entry() {
                fields.insert(format!("{}.{}{mark}", message.full_name(), field.name()));
            }
            if let Kind::Message(inner) = field.kind() {
                visit(&inner, seen, fields);
            }
        }
    }
    let (mut seen, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for method in contract::methods() {
        visit(&method.output(), &mut seen, &mut fields);
    }
    fields
}

/// Whoever adds a field to an answer says so here: `testdata/response_fields.txt` is the list that was thought about.
#[test]
fn every_field_of_every_answer_is_on_the_list() {
    let listed: BTreeSet<String> =
        include_str!("../../testdata/response_fields.txt").lines().map(str::to_owned).collect();
    let found = response_fields();
    let (new, gone): (Vec<_>, Vec<_>) =
        (found.difference(&listed).collect(), listed.difference(&found).collect());
    assert!(new.is_empty() && gone.is_empty(), "not on the list: {new:#?}\nnot in the contract: {gone:#?}");
}
