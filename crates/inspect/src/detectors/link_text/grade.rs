use mailkeep_model::Severity;

/// What speaks for and against a mismatch being meant to deceive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    /// The text has the form of an address, not only of a name.
    pub(super) address_like: bool,
    /// The address is next to all of the text.
    pub(super) alone: bool,
    /// The text shows the true target too.
    pub(super) also_shows_target: bool,
    /// It shows a domain of the organisation.
    pub(super) own_domain: bool,
    /// The text is about signing in.
    pub(super) sign_in: bool,
    /// The target imitates what is shown, or costs nothing to have.
    pub(super) disguised: bool,
    /// A mailing service or opaque link protection is in between.
    pub(super) service: bool,
}

impl Signals {
    /// Points, by table: 1 and less are low, 2 medium, 3 and more high.
    pub(super) fn severity(self) -> Severity {
        let points = [
            (self.address_like, 1),
            (self.alone, 1),
            (self.own_domain, 1),
            (self.sign_in, 1),
            (self.disguised, 1),
            (self.also_shows_target, -1),
            (self.service, -1),
        ];
        match points.iter().map(|&(holds, points)| if holds { points } else { 0 }).sum::<i32>() {
            ..=1 => Severity::Low,
            2 => Severity::Medium,
            _ => Severity::High,
        }
    }
}

/// Wording about signing in, in lower case.
const SIGN_IN: &[&str] = &[
    // English
    "sign in",
    "sign-in",
    "signin",
    "log in",
    "log-in",
    "login",
    "logon",
    "password",
    "verify",
    "verification",
    "confirm your",
    "update your",
    "validate",
    "unlock",
    "suspended",
    "credentials",
    "authenticat",
    "your wallet",
    // German
    "anmelden",
    "einloggen",
    "passwort",
    "kennwort",
    "bestätigen sie",
    "verifizier",
    "entsperren",
    // French
    "connectez-vous",
    "se connecter",
    "mot de passe",
    "identifiant",
    "vérifi",
    "confirmez",
    // Spanish, Portuguese
    "iniciar sesi",
    "inicie sesi",
    "contraseña",
    "verific",
    "confirme su",
    "confirme seu",
    "senha",
    "desbloque",
    "entrar na",
    // Italian
    "accedi",
    "verifica",
    // Dutch, Danish, Swedish, Norwegian
    "inloggen",
    "wachtwoord",
    "bevestig",
    "log ind",
    "adgangskode",
    "logga in",
    "lösenord",
    "logg inn",
    "passord",
    // Polish, Czech, Turkish
    "zaloguj",
    "hasło",
    "přihlás",
    "heslo",
    "giriş yap",
    "şifre",
    // Russian, Ukrainian
    "войти",
    "войдите",
    "парол",
    "подтверд",
    "увійти",
    // Japanese, Chinese, Korean, Arabic
    "ログイン",
    "パスワード",
    "登录",
    "登錄",
    "密码",
    "密碼",
    "验证",
    "驗證",
    "로그인",
    "비밀번호",
    "تسجيل الدخول",
    "كلمة المرور",
];

/// Whether a text (in lower case) is about signing in.
pub(super) fn reads_as_sign_in(text: &str) -> bool {
    SIGN_IN.iter().any(|words| text.contains(words))
}
