//! German.

use super::{
    Account, Common, Consent, Devices, Errors, Explained, FormPost, Login, SignOut, SignUp, Slot,
    Texts, Times,
};
use crate::domain::password::UnacceptablePassword;
use crate::web::{
    EmailProblem, Notice, PageProblem, PasswordChangeProblem, ProfileField, UsernameProblem,
};

pub(in crate::web) static DE: Texts = Texts {
    common: Common {
        error_prefix: "Fehler: ",
        optional: "freiwillig",
        check_fields: "Bitte prüfen Sie:",
        skip_to_content: "Zum Inhalt springen",
        sign_out: "Abmelden",
        busy: "Gerade ist sehr viel los. Bitte versuchen Sie es gleich noch einmal.",
        too_many_attempts: Slot::new(
            "Zu viele Versuche. Bitte warten Sie ",
            " und versuchen Sie es dann noch einmal.",
        ),
    },
    time: Times {
        active_now: "Gerade aktiv",
        last_active: Slot::new("Zuletzt aktiv ", ""),
        minutes_ago: |n| format!("vor {}", plural(n, "Minute", "Minuten")),
        hours_ago: |n| format!("vor {}", plural(n, "Stunde", "Stunden")),
        days_ago: |n| format!("vor {}", plural(n, "Tag", "Tagen")),
        seconds: |n| plural(n, "Sekunde", "Sekunden"),
        minutes: |n| plural(n, "Minute", "Minuten"),
        hours: |n| plural(n, "Stunde", "Stunden"),
        months: [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        date: |day, month, year| format!("{day}.\u{a0}{month} {year}"),
        on: Slot::new("am ", ""),
    },
    login: Login {
        heading: "Anmelden",
        to_app: Slot::new("Weiter zu ", ""),
        heading_confirm: "Sind Sie es wirklich?",
        confirm: "Sie sind bereits angemeldet. Zu Ihrer Sicherheit geben Sie bitte noch einmal \
                  Ihr Passwort ein.",
        continue_as: "Weiter als",
        other_account: "oder mit einem anderen Konto",
        username: "Benutzername oder E-Mail",
        password: "Passwort",
        submit: "Anmelden",
        submit_confirm: "Bestätigen",
        cancel: "Abbrechen",
        new_here: "Neu hier?",
        sign_up: "Konto anlegen",
        another_expected: "Die App erwartet ein anderes Konto als das angemeldete. Melden Sie sich mit \
                        diesem an, oder brechen Sie ab.",
        wrong_credentials: "Benutzername und Passwort passen nicht zusammen. Bitte prüfen Sie \
                            beides und versuchen Sie es noch einmal.",
        missing_username: "Geben Sie Ihren Benutzernamen oder Ihre E-Mail-Adresse ein",
        missing_password: "Geben Sie Ihr Passwort ein",
    },
    sign_up: SignUp {
        heading: "Konto anlegen",
        username: "Benutzername",
        email: "E-Mail",
        password: "Passwort",
        password_hint: "Mindestens 10 Zeichen. Gut sind ein paar zufällige Wörter.",
        submit: "Konto anlegen",
        have_account: "Sie haben schon ein Konto?",
        log_in: "Anmelden",
        name_taken: "Zu diesem Benutzernamen oder dieser E-Mail-Adresse gibt es schon ein Konto. \
                     Wählen Sie etwas anderes, oder melden Sie sich an, wenn es Ihres ist.",
        too_many: Slot::new(
            "Aus Ihrem Netz wurden zu viele Konten angelegt. Bitte warten Sie ",
            " und versuchen Sie es dann noch einmal.",
        ),
        username_problem: |problem| match problem {
            UsernameProblem::Missing => "Wählen Sie einen Benutzernamen",
            UsernameProblem::Malformed => {
                "Möglich sind 1 bis 100 sichtbare Zeichen ohne Leerzeichen am Anfang oder Ende. \
                 Ein @ darf nur in einer E-Mail-Adresse stehen."
            }
        },
        email_problem: |problem| match problem {
            EmailProblem::Malformed => {
                "Geben Sie eine E-Mail-Adresse in der üblichen Form ein, etwa name@example.com"
            }
        },
        missing_password: "Wählen Sie ein Passwort",
        unacceptable_password: unacceptable,
    },
    consent: Consent {
        heading: Slot::new("Darf ", " Ihr Konto nutzen?"),
        app_wants: "Damit kann die App:",
        signed_in_as: "Angemeldet als",
        switch: "Anderes Konto verwenden",
        allow: "Erlauben",
        deny: "Ablehnen",
        back_to: Slot::new("Danach geht es weiter zu ", ""),
        trust: "Erlauben Sie es nur, wenn Sie diese Adresse kennen und ihr vertrauen. In Ihrem \
                Konto können Sie die Erlaubnis jederzeit zurücknehmen.",
        unknown_scope: "Diese Berechtigung nutzen",
        in_your_name: "Dies in Ihrem Namen nutzen",
        scope: |scope| {
            Some(match scope {
                "openid" => Explained {
                    title: "Wissen, wer Sie sind",
                    detail: "Eine Kennung Ihres Kontos",
                },
                "profile" => Explained {
                    title: "Ihr Profil sehen",
                    detail: "Ihren Namen und Ihren Benutzernamen",
                },
                "email" => Explained {
                    title: "Ihre E-Mail-Adresse sehen",
                    detail: "Und ob sie bestätigt ist",
                },
                "address" => Explained {
                    title: "Ihre Anschrift sehen",
                    detail: "So, wie sie in Ihrem Profil steht",
                },
                "phone" => Explained {
                    title: "Ihre Telefonnummer sehen",
                    detail: "So, wie sie in Ihrem Profil steht",
                },
                "offline_access" => Explained {
                    title: "Auch in Ihrer Abwesenheit zugreifen",
                    detail: "Selbst wenn Sie die App nicht geöffnet haben",
                },
                "tokensmith:account" => Explained {
                    title: "Ihr Konto verwalten",
                    detail: "Ihr Profil, Ihr Passwort und Ihre Geräte",
                },
                _ => return None,
            })
        },
    },
    account: Account {
        navigation: "Seiten des Kontos",
        heading: "Konto",
        profile: Explained {
            title: "Profil",
            detail: "Apps sehen diese Angaben nur, wenn Sie es erlauben.",
        },
        username: "Benutzername",
        email: "E-Mail",
        no_email: "Keine",
        verified: "Bestätigt",
        unverified: "Nicht bestätigt",
        name: "Vollständiger Name",
        phone: "Telefonnummer",
        phone_hint: "Mit Ländervorwahl, etwa +49\u{a0}30\u{a0}901820",
        address: "Anschrift",
        save: "Profil speichern",
        profile_problem: |field| match field {
            ProfileField::Name => "Der Name darf höchstens 200 Zeichen in einer Zeile haben",
            ProfileField::Phone => {
                "Die Telefonnummer darf höchstens 200 Zeichen in einer Zeile haben"
            }
            ProfileField::Address => "Die Anschrift darf höchstens 200 Zeichen haben",
        },
        password: Explained {
            title: "Passwort",
            detail: "Mit einem neuen Passwort werden Sie auf allen anderen Geräten abgemeldet.",
        },
        current_password: "Aktuelles Passwort",
        new_password: "Neues Passwort",
        change_password: "Passwort ändern",
        password_problem: |problem| {
            Some(match problem {
                PasswordChangeProblem::MissingCurrent => "Geben Sie Ihr aktuelles Passwort ein",
                PasswordChangeProblem::WrongCurrent => "Das ist nicht Ihr aktuelles Passwort",
                PasswordChangeProblem::Unacceptable(reason) => unacceptable(reason),
                PasswordChangeProblem::TooManyAttempts { .. } | PasswordChangeProblem::Busy => {
                    return None;
                }
            })
        },
        apps: Explained {
            title: "Verbundene Apps",
            detail: "Apps, denen Sie erlaubt haben, Ihr Konto zu nutzen.",
        },
        no_apps: "Keine App hat Zugriff auf Ihr Konto.",
        granted: Slot::new("Erlaubt am ", ""),
        revoke: "Zugriff entziehen",
        notice: |notice| match notice {
            Notice::ProfileSaved => "Ihr Profil ist gespeichert.",
            Notice::PasswordChanged => {
                "Ihr Passwort ist geändert, und Sie sind überall sonst abgemeldet."
            }
            Notice::ConsentRevoked => "Die App hat keinen Zugriff mehr auf Ihr Konto.",
            Notice::SessionEnded => "Dort sind Sie jetzt abgemeldet.",
            Notice::OthersEnded => "Auf allen anderen Geräten sind Sie jetzt abgemeldet.",
        },
    },
    devices: Devices {
        heading: "Ihre Geräte",
        introduction: "Hier sind Sie angemeldet. Wenn Sie ein Gerät nicht kennen, melden Sie es \
                       ab und ändern Sie Ihr Passwort.",
        unknown: "Unbekanntes Gerät",
        current: "Dieses Gerät",
        address: "IP-Adresse",
        since: Slot::new("Angemeldet am ", ""),
        apps: "Apps",
        works_offline: "Hat auch in Ihrer Abwesenheit Zugriff",
        end: "Abmelden",
        end_others: "Auf allen anderen Geräten abmelden",
        end_others_detail: "Hier bleiben Sie angemeldet.",
        none: "Sie sind auf keinem Gerät angemeldet.",
        on_computer: " unter ",
        on_phone: " auf ",
    },
    sign_out: SignOut {
        heading: "Abmelden?",
        app_asks: Slot::new("", " möchte Sie abmelden."),
        stay: "Angemeldet bleiben",
        done_heading: "Sie sind abgemeldet",
        done_shared: "Wenn noch andere diesen Computer benutzen, schließen Sie bitte auch den \
                      Browser.",
        log_in: "Wieder anmelden",
    },
    form_post: FormPost {
        heading: "Einen Moment",
        text: "Es geht gleich zurück zur App. Wenn nichts passiert, gehen Sie selbst weiter.",
        submit: "Weiter",
    },
    error: Errors {
        problem,
        wait: Slot::new(
            "Bitte warten Sie ",
            " und versuchen Sie es dann noch einmal.",
        ),
        for_developers: "Einzelheiten für die Entwickler der App",
        request_id: "Vorgangsnummer",
        to_account: "Zu Ihrem Konto",
    },
};

fn unacceptable(reason: &UnacceptablePassword) -> &'static str {
    match reason {
        UnacceptablePassword::TooShort => {
            "Nehmen Sie mindestens 10 Zeichen. Gut sind ein paar zufällige Wörter."
        }
        UnacceptablePassword::TooLong => "Nehmen Sie ein kürzeres Passwort: höchstens 256 Zeichen",
        UnacceptablePassword::ControlCharacter => {
            "Entfernen Sie den Tabulator oder Zeilenumbruch. Er kam vielleicht beim Einfügen mit."
        }
        UnacceptablePassword::Common => {
            "Dieses Passwort haben sehr viele, deshalb probieren es Angreifer zuerst. Bitte \
             wählen Sie ein anderes."
        }
        UnacceptablePassword::Personal => {
            "Das ist Ihrem Namen, Ihrer Adresse oder dem Namen dieses Dienstes zu ähnlich. Bitte \
             wählen Sie ein anderes."
        }
        UnacceptablePassword::Guessable(_) => {
            "Dieses Passwort ist leicht zu erraten. Fügen Sie noch ein, zwei Wörter hinzu."
        }
    }
}

fn problem(problem: PageProblem) -> Explained {
    let (title, detail) = match problem {
        PageProblem::UnknownApp => (
            "Dieser Link funktioniert nicht",
            "Die App hat Sie mit einer Anfrage hergeschickt, der wir nicht trauen können. Gehen \
             Sie zurück zur App und versuchen Sie es noch einmal. Wenn es wieder passiert, sagen \
             Sie bitte dem Anbieter der App Bescheid.",
        ),
        PageProblem::ExpiredPage => (
            "Diese Seite ist zu alt",
            "Zu Ihrer Sicherheit ist die Zeit für die Anmeldung begrenzt. Gehen Sie zurück zur \
             App und beginnen Sie von vorn.",
        ),
        PageProblem::StaleForm => (
            "Es wurde nichts geändert",
            "Seit diese Seite geöffnet wurde, hat sich in diesem Browser jemand an- oder abgemeldet. \
             Öffnen Sie Ihr Konto noch einmal und wiederholen Sie, was Sie tun wollten.",
        ),
        PageProblem::OtherBrowser => (
            "Sie haben woanders angefangen",
            "Diese Anmeldung begann in einem anderen Browser oder in einem privaten Fenster. Gehen \
             Sie zurück zur App und beginnen Sie in diesem Browser von vorn.",
        ),
        PageProblem::CookiesNeeded => (
            "Es fehlt ein Cookie",
            "Wir brauchen ein Cookie, damit Ihre Anmeldung sicher ist. Erlauben Sie Cookies für \
             diese Seite, gehen Sie zurück zur App und beginnen Sie von vorn.",
        ),
        PageProblem::NotFound => (
            "Hier ist nichts",
            "Vielleicht ist die Adresse falsch geschrieben oder veraltet. Prüfen Sie sie, oder \
             beginnen Sie bei Ihrem Konto.",
        ),
        PageProblem::BadRequest => (
            "Das konnten wir nicht lesen",
            "Ihr Browser hat etwas geschickt, womit wir nicht gerechnet haben. Gehen Sie zurück, \
             laden Sie die Seite neu und versuchen Sie es noch einmal.",
        ),
        PageProblem::TooLarge => (
            "Das war zu viel Text",
            "So viel Text nehmen wir nicht an. Gehen Sie zurück, kürzen Sie ihn und versuchen Sie \
             es noch einmal.",
        ),
        PageProblem::SignUpClosed => (
            "Neue Konten gibt es auf Einladung",
            "Hier können Sie nicht selbst ein Konto anlegen. Bitten Sie den Betreiber dieses \
             Dienstes darum.",
        ),
        PageProblem::TooManyAttempts { .. } => (
            "Zu viele Versuche",
            "Zum Schutz der Konten geht es hier gerade nicht weiter.",
        ),
        PageProblem::Busy => (
            "Gerade ist sehr viel los",
            "Sie haben nichts falsch gemacht. Warten Sie einen Moment und laden Sie die Seite \
             dann neu.",
        ),
        PageProblem::Internal => (
            "Da ist etwas schiefgegangen",
            "Der Fehler liegt bei uns und ist aufgezeichnet. Versuchen Sie es in ein paar Minuten \
             noch einmal. Wenn es wieder passiert, sagen Sie bitte dem Betreiber dieses Dienstes \
             Bescheid.",
        ),
    };
    Explained { title, detail }
}

fn plural(n: i64, one: &str, many: &str) -> String {
    let unit = if n == 1 { one } else { many };
    format!("{n} {unit}")
}
