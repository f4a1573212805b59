use serde_json::{Value, json};

use crate::testing::Bench;

async fn account(bench: &Bench, token: &str, name: &str) -> String {
    let body = json!({ "name": name, "credentials": { "api_key": "sk-ant-canary-secret" } });
    let made = bench.ok(token, "POST /api/v2/accounts/claude-console", &body.to_string()).await;
    made["id"].as_str().unwrap().to_owned()
}

fn members(group: &Value) -> Vec<(&str, i64)> {
    let list = group["members"].as_array().unwrap();
    list.iter().map(|m| (m["account_id"].as_str().unwrap(), m["priority"].as_i64().unwrap_or(0))).collect()
}

#[tokio::test]
async fn a_group_lives_and_its_members_come_and_go() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let (a, b) = (account(&bench, &token, "a").await, account(&bench, &token, "b").await);
    let body =
        json!({ "name": "first", "family": "claude", "members": [{ "account_id": a, "priority": 9 }] });
    let line = "POST /api/v2/account-groups";
    let made = bench.ok(&token, &format!("{line}?request_id=once"), &body.to_string()).await;
    let again = bench.ok(&token, &format!("{line}?request_id=once"), &body.to_string()).await;
    assert_eq!(made, again, "a repeated request makes nothing twice");
    let at = format!("/api/v2/account-groups/{}", made["id"].as_str().unwrap());
    assert_eq!((made["members"][0]["account_name"].as_str(), members(&made)), (Some("a"), vec![(&*a, 9)]));

    let add = json!({ "members": [{ "account_id": b }], "position": 0 });
    let grown = bench.ok(&token, &format!("POST {at}/members"), &add.to_string()).await;
    assert_eq!(members(&grown), [(&*b, 0), (&*a, 9)]);
    let listed = bench.ok(&token, &format!("GET {at}/members"), "").await;
    assert_eq!(members(&listed), members(&grown));
    assert_eq!(
        bench.ok(&token, &format!("GET /api/v2/accounts/claude-console/{b}"), "").await["groups"][0],
        made["id"]
    );
    let found = bench.ok(&token, &format!("GET /api/v2/account-groups?filter=account:{b}"), "").await;
    assert_eq!(found["total_size"], 1);

    let stale = json!({ "description": "x", "etag": made["etag"] });
    assert_eq!(bench.call(&token, &format!("PATCH {at}"), &stale.to_string()).await.status, 409);
    let renamed = bench.ok(&token, &format!("PATCH {at}"), r#"{"name":"second"}"#).await;
    assert_eq!((renamed["name"].as_str(), members(&renamed).len()), (Some("second"), 2));

    let less = bench.ok(&token, &format!("DELETE {at}/members/{a}"), "").await;
    assert_eq!(members(&less), [(&*b, 0)]);
    // An account that goes leaves its groups.
    bench.ok(&token, &format!("DELETE /api/v2/accounts/claude-console/{b}"), "").await;
    assert!(members(&bench.ok(&token, &format!("GET {at}"), "").await).is_empty());

    let key = json!({ "name": "k", "account_binding": { "claude": { "groups": [made["id"]] } } });
    let key = bench.ok(&token, "POST /api/v2/keys", &key.to_string()).await;
    assert_eq!(bench.call(&token, &format!("DELETE {at}"), "").await.reason(), "GROUP_BOUND");
    let unbind = format!("PATCH /api/v2/keys/{}", key["key"]["id"].as_str().unwrap());
    bench.ok(&token, &unbind, r#"{"account_binding":{}}"#).await;
    bench.ok(&token, &format!("DELETE {at}"), "").await;
    assert_eq!(bench.call(&token, &format!("GET {at}"), "").await.status, 404);
    let audit =
        bench.ok(&token, &format!("GET /api/v2/audit?target_id={}", made["id"].as_str().unwrap()), "").await;
    let actions: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "GroupService.DeleteGroup",
            "AccountService.DeleteAccount",
            "GroupService.RemoveGroupMembers",
            "GroupService.UpdateGroup",
            "GroupService.AddGroupMembers",
            "GroupService.CreateGroup",
        ]
    );
    bench.stop().await;
}

#[tokio::test]
async fn groups_hold_accounts_of_their_family_and_keys_name_groups_of_theirs() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let a = account(&bench, &token, "a").await;
    for (body, field) in [
        (json!({ "name": "x" }), "family"),
        (json!({ "name": "x", "family": "llama" }), "family"),
        (json!({ "name": "", "family": "claude" }), "name"),
        (json!({ "name": "x", "family": "gemini", "members": [{ "account_id": a }] }), "members"),
        (json!({ "name": "x", "family": "claude", "members": [{ "account_id": "none" }] }), "members"),
    ] {
        let answer = bench.call(&token, "POST /api/v2/account-groups", &body.to_string()).await;
        let seen = answer.json()["error"]["details"][1]["field_violations"][0]["field"].clone();
        assert_eq!((answer.status.as_u16(), seen.as_str()), (400, Some(field)), "{body}");
    }
    let gemini = bench.ok(&token, "POST /api/v2/account-groups", r#"{"name":"g","family":"gemini"}"#).await;
    let key = json!({ "name": "k", "account_binding": { "claude": { "groups": [gemini["id"]] } } });
    let answer = bench.call(&token, "POST /api/v2/keys", &key.to_string()).await;
    assert!(answer.status == 400 && answer.text.contains("of the family `gemini`"), "{}", answer.text);
    bench.stop().await;
}
