//! What `tokensmith dev` seeds, so that there is something to try: a service, an app and a person.

use super::{DemoSecrets, Parts, StartError};
use crate::accounts::registration::{NewPassword, Registration};
use crate::admin::AdminError;
use crate::cli::dev::{DEMO_APP, DEMO_AUDIENCE, DEMO_CLIENT, DEMO_USER, DemoCredentials};
use crate::domain::audit::{AuditKind, AuditRecord, Origin};
use crate::domain::client::{ClientAuthMethod, ClientMetadata, GrantType};
use crate::domain::id::{ClientId, SecretId};
use crate::domain::identifier::Username;
use crate::domain::password::Password;
use crate::domain::ports::{
    Account, NewClient, NewSecret, PasswordVerdict, SecretMint, SecretRotationOrder,
};
use crate::domain::user::Profile;

/// Seeds an empty database; answers what can be tried while it is still as it was seeded.
pub(super) async fn seed(parts: &Parts) -> Result<DemoCredentials, StartError> {
    let administration = &parts.administration;
    let has_clients = !administration.clients.list(None, 1).await?.is_empty();
    let has_users = !administration.accounts.list(None, 1).await?.is_empty();
    if !has_clients {
        seed_service(parts).await?;
        seed_app(parts).await?;
    }
    if !has_users {
        seed_user(parts).await?;
    }
    Ok(DemoCredentials {
        client_secret: service_secret(parts, &parts.demo.client_secret).await?,
        password: password(parts).await?,
    })
}

async fn seed_service(parts: &Parts) -> Result<(), AdminError> {
    let metadata = ClientMetadata {
        client_name: Some("Demo service of tokensmith dev".to_owned()),
        grant_types: [GrantType::ClientCredentials].into(),
        scope: "orders:read orders:write".parse().unwrap_or_default(),
        audiences: DEMO_AUDIENCE.parse().into_iter().collect(),
        ..ClientMetadata::default()
    };
    let secret = new_secret(parts).await?;
    register(parts, DEMO_CLIENT, metadata, Some(secret)).await
}

async fn new_secret(parts: &Parts) -> Result<NewSecret, AdminError> {
    let mut id = [0; 16];
    parts.entropy.fill(&mut id)?;
    let now = parts.administration.clock.now();
    Ok(NewSecret {
        id: SecretId(id),
        digest: parts.mint.digest(&parts.demo.client_secret),
        status: parts.indices.next(now).await?,
    })
}

async fn seed_app(parts: &Parts) -> Result<(), AdminError> {
    let metadata = ClientMetadata {
        client_name: Some("Demo app of tokensmith dev".to_owned()),
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        token_endpoint_auth_method: Some(ClientAuthMethod::None),
        first_party: true,
        redirect_uris: "http://127.0.0.1/callback".parse().into_iter().collect(),
        scope: "openid offline_access orders:read"
            .parse()
            .unwrap_or_default(),
        audiences: DEMO_AUDIENCE.parse().into_iter().collect(),
        ..ClientMetadata::default()
    };
    register(parts, DEMO_APP, metadata, None).await
}

async fn register(
    parts: &Parts,
    id: &str,
    metadata: ClientMetadata,
    secret: Option<NewSecret>,
) -> Result<(), AdminError> {
    let new = NewClient {
        id: id.parse()?,
        metadata,
        secret,
    };
    let now = parts.administration.clock.now();
    let clients = &parts.administration.clients;
    clients.register(new, &Origin::SYSTEM, now).await?;
    Ok(())
}

async fn seed_user(parts: &Parts) -> Result<(), StartError> {
    let registration = Registration {
        username: demo_username()?,
        email: None,
        profile: Profile::default(),
    };
    let password = NewPassword::Chosen(&parts.demo.password);
    let now = parts.administration.clock.now();
    parts
        .administration
        .accounts
        .create(registration, password, &Origin::SYSTEM, now)
        .await?;
    Ok(())
}

/// Gives the seeded service and the seeded person new secrets, where they still have those that were
/// derived from the master key before: whoever has stolen that knows them.
pub(super) async fn renew(parts: &Parts, before: &DemoSecrets) -> Result<(), StartError> {
    renew_service(parts, before).await?;
    renew_user(parts, before).await
}

async fn renew_service(parts: &Parts, before: &DemoSecrets) -> Result<(), AdminError> {
    let id: ClientId = DEMO_CLIENT.parse()?;
    if service_secret(parts, &before.client_secret)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let administration = &parts.administration;
    let now = administration.clock.now();
    let order = SecretRotationOrder {
        secret: new_secret(parts).await?,
        others_end_at: now,
        force: true,
    };
    let kind = AuditKind::ClientSecretRotated;
    let record = AuditRecord::new(kind, &Origin::COMMAND_LINE, now, &*parts.entropy)?;
    let record = record.about_client(&id);
    let store = &administration.store;
    store.rotate_client_secret(&id, &order, &record).await?;
    Ok(())
}

async fn renew_user(parts: &Parts, before: &DemoSecrets) -> Result<(), StartError> {
    let accounts = &parts.administration.accounts;
    let Some(account) = accounts.store.find_account(&demo_username()?.key()).await? else {
        return Ok(());
    };
    if has_password(parts, &account, &before.password).await {
        let (id, now) = (account.user.id, parts.administration.clock.now());
        let origin = &Origin::COMMAND_LINE;
        let new = &parts.demo.password;
        accounts.set_password(id, new, origin, now).await?;
    }
    Ok(())
}

/// The secret of the demo service, while it has that one.
async fn service_secret(parts: &Parts, text: &str) -> Result<Option<String>, AdminError> {
    let id: ClientId = DEMO_CLIENT.parse()?;
    let now = parts.administration.clock.now();
    match parts.administration.clients.show(&id).await {
        Ok(client) => {
            let mut live = client.live_secrets(now);
            let is_current = parts.mint.find_matching(text, &mut live).is_some();
            Ok(is_current.then(|| text.to_owned()))
        }
        // Somebody has deleted it; it stays so.
        Err(AdminError::NoSuchClient(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The password of the demo person, while that and the app are as they were seeded.
async fn password(parts: &Parts) -> Result<Option<String>, StartError> {
    let app: ClientId = DEMO_APP.parse().map_err(AdminError::from)?;
    match parts.administration.clients.show(&app).await {
        Ok(_) => {}
        Err(AdminError::NoSuchClient(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let accounts = &parts.administration.accounts;
    let account = accounts.store.find_account(&demo_username()?.key()).await?;
    let text = &parts.demo.password;
    let Some(account) = account else {
        return Ok(None);
    };
    let is_current = has_password(parts, &account, text).await;
    Ok(is_current.then(|| text.clone()))
}

async fn has_password(parts: &Parts, account: &Account, text: &str) -> bool {
    let Some(password) = Password::presented(text) else {
        return false;
    };
    let hasher = &parts.administration.accounts.hasher;
    let verdict = hasher.verify(password, account.password.clone()).await;
    matches!(verdict, Ok(PasswordVerdict::Right { .. }))
}

fn demo_username() -> Result<Username, StartError> {
    let parsed = DEMO_USER.parse();
    parsed.map_err(|_| StartError::Issuer(format!("{DEMO_USER} is no username")))
}
