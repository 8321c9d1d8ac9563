"""What languages are called, in English and by those who speak them, by code of a locale.

The codes for which Tornado knows names; read by ``Locale.name``. Data, nothing else.
"""

from __future__ import annotations

# code, name in the language itself, name in English where that is another
_TABLE = """
af_ZA | Afrikaans
am_ET | አማርኛ | Amharic
ar_AR | العربية | Arabic
bg_BG | Български | Bulgarian
bn_IN | বাংলা | Bengali
bs_BA | Bosanski | Bosnian
ca_ES | Català | Catalan
cs_CZ | Čeština | Czech
cy_GB | Cymraeg | Welsh
da_DK | Dansk | Danish
de_DE | Deutsch | German
el_GR | Ελληνικά | Greek
en_GB | English (UK)
en_US | English (US)
es_ES | Español (España) | Spanish (Spain)
es_LA | Español | Spanish
et_EE | Eesti | Estonian
eu_ES | Euskara | Basque
fa_IR | فارسی | Persian
fi_FI | Suomi | Finnish
fr_CA | Français (Canada) | French (Canada)
fr_FR | Français | French
ga_IE | Gaeilge | Irish
gl_ES | Galego | Galician
he_IL | עברית | Hebrew
hi_IN | हिन्दी | Hindi
hr_HR | Hrvatski | Croatian
hu_HU | Magyar | Hungarian
id_ID | Bahasa Indonesia | Indonesian
is_IS | Íslenska | Icelandic
it_IT | Italiano | Italian
ja_JP | 日本語 | Japanese
ko_KR | 한국어 | Korean
lt_LT | Lietuvių | Lithuanian
lv_LV | Latviešu | Latvian
mk_MK | Македонски | Macedonian
ml_IN | മലയാളം | Malayalam
ms_MY | Bahasa Melayu | Malay
nb_NO | Norsk (bokmål) | Norwegian (bokmal)
nl_NL | Nederlands | Dutch
nn_NO | Norsk (nynorsk) | Norwegian (nynorsk)
pa_IN | ਪੰਜਾਬੀ | Punjabi
pl_PL | Polski | Polish
pt_BR | Português (Brasil) | Portuguese (Brazil)
pt_PT | Português (Portugal) | Portuguese (Portugal)
ro_RO | Română | Romanian
ru_RU | Русский | Russian
sk_SK | Slovenčina | Slovak
sl_SI | Slovenščina | Slovenian
sq_AL | Shqip | Albanian
sr_RS | Српски | Serbian
sv_SE | Svenska | Swedish
sw_KE | Kiswahili | Swahili
ta_IN | தமிழ் | Tamil
te_IN | తెలుగు | Telugu
th_TH | ภาษาไทย | Thai
tl_PH | Filipino
tr_TR | Türkçe | Turkish
uk_UA | Українська | Ukrainian
vi_VN | Tiếng Việt | Vietnamese
zh_CN | 中文(简体) | Chinese (Simplified)
zh_TW | 中文(繁體) | Chinese (Traditional)
"""


def _read(table: str) -> dict[str, dict[str, str]]:
    names: dict[str, dict[str, str]] = {}
    for line in table.split("\n")[1:-1]:
        code, own, *english = line.split(" | ")
        names[code] = {"name_en": english[0] if english else own, "name": own}
    return names


#: code -> ``{"name": ..., "name_en": ...}`` (as in Tornado)
LOCALE_NAMES = _read(_TABLE)
