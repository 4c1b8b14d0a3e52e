//! Control functions one by one, after the published list of esctest2 (its file names, then the case), written anew: what is
//! fed to a screen of 80x25, where the cursor is then, and what the rows that matter say.
//!
//! Left and right margins are in `margins.rs`. Left out of the list, because xterm.js has none of it (docs/decisions/0005): DECBI, DECFI, DECCRA, DECERA, DECFRA, DECSERA, DECRARA, DECCARA, DECSACE, 132 columns (DECCOLM),
//! reports of windows and icons (XTWINOPS but for 14 to 16, 18, 22, 23), DECRQCRA, UPSS, national sets, SS2, SS3, DECUDK, DECSCL,
//! S8C1T; and DECALN does not clear the margins.

#[path = "common/cases.rs"]
mod cases;

use cases::{check, screen};

#[test]
fn cursor_movement() {
    check(&[
        ("BS_Basic", "\x1b[3;3H\x08", (2, 3), &[]),
        ("BS_NoWrapByDefault", "\x1b[3;1H\x08", (1, 3), &[]),
        ("BS_StopsAtLeft", "\x1b[3;2H\x08\x08\x08", (1, 3), &[]),
        ("BS_CancelsPendingWrap", "\x1b[1;80Hx\x08", (79, 1), &[]),
        ("CBT_OneTabStopByDefault", "\x1b[1;17H\x1b[Z", (9, 1), &[]),
        ("CBT_ExplicitParameter", "\x1b[1;25H\x1b[2Z", (9, 1), &[]),
        ("CBT_StopsAtLeftEdge", "\x1b[2;25H\x1b[5Z", (1, 2), &[]),
        ("CBT_IgnoresRegion", "\x1b[5;20r\x1b[2;25H\x1b[Z", (17, 2), &[]),
        ("CHA_DefaultParam", "\x1b[3;5H\x1b[G", (1, 3), &[]),
        ("CHA_ExplicitParam", "\x1b[3;5H\x1b[10G", (10, 3), &[]),
        ("CHA_OutOfBoundsLarge", "\x1b[3;5H\x1b[9999G", (80, 3), &[]),
        ("CHA_ZeroParam", "\x1b[3;5H\x1b[0G", (1, 3), &[]),
        ("CHA_IgnoresScrollRegion", "\x1b[5;10r\x1b[3;5H\x1b[2G", (2, 3), &[]),
        ("CHT_OneTabStopByDefault", "\x1b[I", (9, 1), &[]),
        ("CHT_ExplicitParameter", "\x1b[2I", (17, 1), &[]),
        ("CHT_StopsAtRightEdge", "\x1b[99I", (80, 1), &[]),
        ("CNL_DefaultParam", "\x1b[3;5H\x1b[E", (1, 4), &[]),
        ("CNL_ExplicitParam", "\x1b[3;6H\x1b[2E", (1, 5), &[]),
        ("CNL_StopsAtBottomLine", "\x1b[3;6H\x1b[100E", (1, 25), &[]),
        ("CNL_StopsAtBottomMargin", "\x1b[2;4r\x1b[3;6H\x1b[99E", (1, 4), &[]),
        ("CNL_StopsAtBottomLineWhenBegunBelowRegion", "\x1b[4;5r\x1b[6;6H\x1b[99E", (1, 25), &[]),
        ("CPL_DefaultParam", "\x1b[3;5H\x1b[F", (1, 2), &[]),
        ("CPL_ExplicitParam", "\x1b[5;6H\x1b[2F", (1, 3), &[]),
        ("CPL_StopsAtTopLine", "\x1b[3;6H\x1b[100F", (1, 1), &[]),
        ("CPL_StopsAtTopMargin", "\x1b[2;4r\x1b[3;6H\x1b[99F", (1, 2), &[]),
        ("CPL_StopsAtTopLineWhenBegunAboveRegion", "\x1b[4;5r\x1b[3;6H\x1b[99F", (1, 1), &[]),
        ("CR_Basic", "\x1b[3;3H\r", (1, 3), &[]),
        ("CUB_DefaultParam", "\x1b[3;5H\x1b[D", (4, 3), &[]),
        ("CUB_ExplicitParam", "\x1b[4;5H\x1b[2D", (3, 4), &[]),
        ("CUB_StopsAtLeftEdge", "\x1b[3;5H\x1b[99D", (1, 3), &[]),
        ("CUB_AfterNoWrappedInlines", "\x1b[1;80Hx\x1b[D", (79, 1), &[]),
        ("CUD_DefaultParam", "\x1b[3;5H\x1b[B", (5, 4), &[]),
        ("CUD_ExplicitParam", "\x1b[3;1H\x1b[2B", (1, 5), &[]),
        ("CUD_StopsAtBottomLine", "\x1b[3;5H\x1b[99B", (5, 25), &[]),
        ("CUD_StopsAtBottomLineWhenBegunBelowRegion", "\x1b[4;5r\x1b[6;5H\x1b[99B", (5, 25), &[]),
        ("CUD_StopsAtBottomMarginInScrollRegion", "\x1b[2;4r\x1b[3;5H\x1b[99B", (5, 4), &[]),
        ("CUF_DefaultParam", "\x1b[3;5H\x1b[C", (6, 3), &[]),
        ("CUF_ExplicitParam", "\x1b[2;1H\x1b[2C", (3, 2), &[]),
        ("CUF_StopsAtRightSide", "\x1b[3;5H\x1b[99C", (80, 3), &[]),
        ("CUP_DefaultParams", "\x1b[3;6H\x1b[H", (1, 1), &[]),
        ("CUP_RowOnly", "\x1b[3;6H\x1b[2H", (1, 2), &[]),
        ("CUP_ColumnOnly", "\x1b[3;6H\x1b[;2H", (2, 1), &[]),
        ("CUP_ZeroIsTreatedAsOne", "\x1b[3;6H\x1b[0;0H", (1, 1), &[]),
        ("CUP_OutOfBoundsParams", "\x1b[99;99H", (80, 25), &[]),
        ("CUP_RespectsOriginMode", "\x1b[6;11r\x1b[?6h\x1b[1;1H", (1, 6), &[]),
        ("CUP_OriginModeStopsAtMargin", "\x1b[6;11r\x1b[?6h\x1b[99;99H", (80, 11), &[]),
        ("CUU_DefaultParam", "\x1b[3;5H\x1b[A", (5, 2), &[]),
        ("CUU_ExplicitParam", "\x1b[3;1H\x1b[2A", (1, 1), &[]),
        ("CUU_StopsAtTopLine", "\x1b[3;5H\x1b[99A", (5, 1), &[]),
        ("CUU_StopsAtTopLineWhenBegunAboveRegion", "\x1b[4;5r\x1b[3;5H\x1b[99A", (5, 1), &[]),
        ("CUU_StopsAtTopMarginInScrollRegion", "\x1b[2;4r\x1b[3;5H\x1b[99A", (5, 2), &[]),
        ("HPA_DefaultParams", "\x1b[7;6H\x1b[`", (1, 7), &[]),
        ("HPA_StopsAtRightEdge", "\x1b[6;5H\x1b[90`", (80, 6), &[]),
        ("HPA_DoesNotChangeRow", "\x1b[6;5H\x1b[2`", (2, 6), &[]),
        ("HPR_DefaultParams", "\x1b[6H\x1b[3G\x1b[a", (4, 6), &[]),
        ("HPR_StopsAtRightEdge", "\x1b[6;5H\x1b[90a", (80, 6), &[]),
        ("HVP_DefaultParams", "\x1b[3;6H\x1b[f", (1, 1), &[]),
        ("HVP_OutOfBoundsParams", "\x1b[99;99f", (80, 25), &[]),
        ("VPA_DefaultParams", "\x1b[6;5H\x1b[d", (5, 1), &[]),
        ("VPA_StopsAtBottomEdge", "\x1b[6;5H\x1b[99d", (5, 25), &[]),
        ("VPA_DoesNotChangeColumn", "\x1b[6;5H\x1b[2d", (5, 2), &[]),
        ("VPR_DefaultParams", "\x1b[6;5H\x1b[e", (5, 7), &[]),
        ("VPR_StopsAtBottomEdge", "\x1b[6;5H\x1b[99e", (5, 25), &[]),
    ]);
}

#[test]
fn lines_and_scrolling() {
    check(&[
        ("IND_Basic", "\x1b[3;5H\x1bD", (5, 4), &[]),
        (
            "IND_Scrolls",
            "\x1b[24;2Ha\x1b[25;2Hb\x1b[25;5H\x1bD",
            (5, 25),
            &[(23, " a"), (24, " b"), (25, "")],
        ),
        ("IND_ScrollsInRegion", "\x1b[4;5r\x1b[4;2Ha\x1b[5;2Hb\x1b[5;2H\x1bD", (2, 5), &[(4, " b"), (5, "")]),
        (
            "IND_StopsAtBottomLineWhenBegunBelowRegion",
            "\x1b[4;5r\x1b[6;5Hx\x1b[25;1H\x1bD",
            (1, 25),
            &[(6, "    x")],
        ),
        ("NEL_Basic", "\x1b[3;5H\x1bE", (1, 4), &[]),
        ("NEL_Scrolls", "\x1b[24;2Ha\x1b[25;2Hb\x1b[25;5H\x1bE", (1, 25), &[(23, " a"), (24, " b")]),
        ("RI_Basic", "\x1b[3;5H\x1bM", (5, 2), &[]),
        ("RI_Scrolls", "\x1b[1;2Ha\x1b[2;2Hb\x1b[1;5H\x1bM", (5, 1), &[(1, ""), (2, " a"), (3, " b")]),
        (
            "RI_ScrollsInRegion",
            "\x1b[4;5r\x1b[4;2Ha\x1b[5;2Hb\x1b[4;2H\x1bM",
            (2, 4),
            &[(4, ""), (5, " a"), (6, "")],
        ),
        ("LF_Basic", "\x1b[3;5H\n", (5, 4), &[]),
        ("LF_Scrolls", "\x1b[24;2Ha\x1b[25;2Hb\n", (3, 25), &[(23, " a"), (24, " b"), (25, "")]),
        ("VT_Basic", "\x1b[3;5H\x0b", (5, 4), &[]),
        ("FF_Basic", "\x1b[3;5H\x0c", (5, 4), &[]),
        ("SM_LNM", "\x1b[20h\x1b[3;5H\n", (1, 4), &[]),
        ("RM_LNM", "\x1b[20h\x1b[20l\x1b[3;5H\n", (5, 4), &[]),
        ("DECSTBM_ScrollsOnNewline", "\x1b[2;3r\x1b[2;1H1\r\n2\r\n3", (2, 3), &[(1, ""), (2, "2"), (3, "3")]),
        ("DECSTBM_MovesCursorToOrigin", "\x1b[3;2H\x1b[2;3r", (1, 1), &[]),
        ("DECSTBM_TopBelowBottom", "\x1b[3;3H\x1b[3;2r", (3, 3), &[]),
        ("DECSTBM_DefaultArgs", "\x1b[2;3r\x1b[3;1H3\x1b[r\x1b[25;1H\n\n", (1, 25), &[(1, "3")]),
        ("DECSTBM_MaxSizeOfRegionIsPageSize", "\x1b[1;1000r\x1b[25;1Hx\n", (2, 25), &[(24, "x"), (25, "")]),
        (
            "DECSTBM_CursorBelowRegionAtBottomTriesToScroll",
            "\x1b[2;3r\x1b[2;1H1\r\n2\x1b[25;1Hx\r\ny",
            (2, 25),
            &[(2, "1"), (3, "2"), (25, "y")],
        ),
        ("SD_DefaultParam", "abc\r\ndef\x1b[T", (4, 2), &[(1, ""), (2, "abc"), (3, "def")]),
        ("SD_ExplicitParam", "abc\r\ndef\x1b[2T", (4, 2), &[(1, ""), (2, ""), (3, "abc")]),
        ("SD_CanClearScreen", "abc\x1b[99T", (4, 1), &[(1, ""), (25, "")]),
        (
            "SD_RespectsTopBottomScrollRegion",
            "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[T",
            (1, 1),
            &[(1, "a"), (2, ""), (3, "b"), (4, "d")],
        ),
        ("SU_DefaultParam", "abc\r\ndef\x1b[S", (4, 2), &[(1, "def"), (2, "")]),
        ("SU_ExplicitParam", "a\r\nb\r\nc\x1b[2S", (2, 3), &[(1, "c"), (2, "")]),
        ("SU_CanClearScreen", "abc\x1b[99S", (4, 1), &[(1, ""), (25, "")]),
        (
            "SU_RespectsTopBottomScrollRegion",
            "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[S",
            (1, 1),
            &[(1, "a"), (2, "c"), (3, ""), (4, "d")],
        ),
        ("IL_DefaultParam", "a\r\nb\r\nc\x1b[2;1H\x1b[L", (1, 2), &[(1, "a"), (2, ""), (3, "b"), (4, "c")]),
        ("IL_ExplicitParam", "a\r\nb\x1b[1;1H\x1b[2L", (1, 1), &[(1, ""), (2, ""), (3, "a"), (4, "b")]),
        ("IL_ScrollsOffBottom", "a\x1b[25;1Hz\x1b[1;1H\x1b[L", (1, 1), &[(2, "a"), (25, "")]),
        (
            "IL_RespectsScrollRegion",
            "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2;1H\x1b[L",
            (1, 2),
            &[(1, "a"), (2, ""), (3, "b"), (4, "d")],
        ),
        (
            "IL_AboveScrollRegion",
            "a\r\nb\r\nc\x1b[2;3r\x1b[1;1H\x1b[L",
            (1, 1),
            &[(1, "a"), (2, "b"), (3, "c")],
        ),
        ("DL_DefaultParam", "a\r\nb\r\nc\x1b[2;1H\x1b[M", (1, 2), &[(1, "a"), (2, "c"), (3, "")]),
        ("DL_ExplicitParam", "a\r\nb\r\nc\x1b[1;1H\x1b[2M", (1, 1), &[(1, "c"), (2, "")]),
        ("DL_ClearOutLineByBottom", "a\x1b[25;1Hz\x1b[24;1H\x1b[99M", (1, 24), &[(1, "a"), (25, "")]),
        (
            "DL_InScrollRegion",
            "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2;1H\x1b[M",
            (1, 2),
            &[(1, "a"), (2, "c"), (3, ""), (4, "d")],
        ),
        (
            "DL_OutsideScrollRegion",
            "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[1;1H\x1b[M",
            (1, 1),
            &[(1, "a"), (2, "b"), (3, "c")],
        ),
    ]);
}

#[test]
fn characters_and_erasing() {
    check(&[
        ("NUL_Ignored", "ab\0c", (4, 1), &[(1, "abc")]),
        ("DCH_DefaultParam", "abcd\x1b[1;2H\x1b[P", (2, 1), &[(1, "acd")]),
        ("DCH_ExplicitParam", "abcd\x1b[1;2H\x1b[2P", (2, 1), &[(1, "ad")]),
        ("DCH_DeleteAll", "abcd\x1b[1;2H\x1b[99P", (2, 1), &[(1, "a")]),
        ("ICH_DefaultParam", "abcdefg\x1b[1;2H\x1b[@", (2, 1), &[(1, "a bcdefg")]),
        ("ICH_ExplicitParam", "abcdefg\x1b[1;3H\x1b[2@", (3, 1), &[(1, "ab  cdefg")]),
        ("ICH_ScrollOffRightEdge", "\x1b[1;78Habc\x1b[1;78H\x1b[@X", (79, 1), &[(1, PAD_XAB)]),
        ("ECH_DefaultParam", "abc\x1b[1;2H\x1b[X", (2, 1), &[(1, "a c")]),
        ("ECH_ExplicitParam", "abcd\x1b[1;2H\x1b[2X", (2, 1), &[(1, "a  d")]),
        ("ECH_IgnoresRegion", "abcd\x1b[5;6r\x1b[1;2H\x1b[9X", (2, 1), &[(1, "a")]),
        ("ED_Default", "a\r\nbcd\r\ne\x1b[2;2H\x1b[J", (2, 2), &[(1, "a"), (2, "b"), (3, "")]),
        ("ED_0", "a\r\nbcd\r\ne\x1b[2;2H\x1b[0J", (2, 2), &[(1, "a"), (2, "b"), (3, "")]),
        ("ED_1", "a\r\nbcd\r\ne\x1b[2;2H\x1b[1J", (2, 2), &[(1, ""), (2, "  d"), (3, "e")]),
        ("ED_2", "a\r\nbcd\r\ne\x1b[2;2H\x1b[2J", (2, 2), &[(1, ""), (2, ""), (3, "")]),
        ("ED_3", "a\r\nbcd\x1b[3J", (4, 2), &[(1, "a"), (2, "bcd")]),
        (
            "ED_IgnoresScrollRegion",
            "a\r\nb\r\nc\x1b[2;2r\x1b[1;1H\x1b[J",
            (1, 1),
            &[(1, ""), (2, ""), (3, "")],
        ),
        ("EL_Default", "abcdefghij\x1b[1;5H\x1b[K", (5, 1), &[(1, "abcd")]),
        ("EL_1", "abcdefghij\x1b[1;5H\x1b[1K", (5, 1), &[(1, "     fghij")]),
        ("EL_2", "abcdefghij\x1b[1;5H\x1b[2K", (5, 1), &[(1, "")]),
        ("REP_DefaultParam", "a\x1b[b", (3, 1), &[(1, "aa")]),
        ("REP_ExplicitParam", "a\x1b[2b", (4, 1), &[(1, "aaa")]),
        ("REP_OnlyAfterACharacter", "a\r\x1b[5b", (1, 1), &[(1, "a")]),
        ("DECALN_FillsScreenAndHomes", "\x1b[5;5H\x1b#8", (1, 1), &[(1, ALL_E), (25, ALL_E)]),
        ("IRM_Set", "abcdef\x1b[1;3H\x1b[4hX", (4, 1), &[(1, "abXcdef")]),
        ("IRM_Reset", "abcdef\x1b[1;3H\x1b[4h\x1b[4lX", (4, 1), &[(1, "abXdef")]),
        ("IRM_DoesNotWrapUnlessCursorAtMargin", "\x1b[4h\x1b[1;80Hx\x1b[1;1HA", (2, 1), &[(1, "A"), (2, "")]),
        ("DECSCA_DECSED_Respects", "a\x1b[1\"qb\x1b[\"qc\x1b[?2J", (4, 1), &[(1, " b")]),
        ("DECSCA_DECSEL_Respects", "a\x1b[1\"qb\x1b[0\"qc\x1b[?2K", (4, 1), &[(1, " b")]),
        ("DECSCA_ED_DoesNotRespect", "a\x1b[1\"qb\x1b[2J", (3, 1), &[(1, "")]),
        ("DECIC_DefaultParam", "abc\r\ndef\x1b[1;2H\x1b['}", (2, 1), &[(1, "a bc"), (2, "d ef")]),
        ("DECIC_ExplicitParam", "abc\r\ndef\x1b[1;2H\x1b[2'}", (2, 1), &[(1, "a  bc"), (2, "d  ef")]),
        ("DECDC_DefaultParam", "abc\r\ndef\x1b[1;2H\x1b['~", (2, 1), &[(1, "ac"), (2, "df")]),
        ("DECDC_ExplicitParam", "abcd\r\ndefg\x1b[1;2H\x1b[2'~", (2, 1), &[(1, "ad"), (2, "dg")]),
        ("SL_Basic", "abc\r\ndef\x1b[ @", (4, 2), &[(1, "bc"), (2, "ef")]),
        ("SR_Basic", "abc\r\ndef\x1b[ A", (4, 2), &[(1, " abc"), (2, " def")]),
    ]);
}

/// 77 blanks, then what was typed over.
const PAD_XAB: &str = "                                                                             Xab";
const ALL_E: &str = "EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE";

#[test]
fn tabs() {
    check(&[
        ("HT_Default", "\t", (9, 1), &[]),
        ("HTS_Basic", "\x1b[1;4H\x1bH\r\t", (4, 1), &[]),
        ("TBC_Default", "\t\x1b[g\r\t", (17, 1), &[]),
        ("TBC_0", "\t\x1b[0g\r\t", (17, 1), &[]),
        ("TBC_3", "\x1b[3g\r\t", (80, 1), &[]),
        ("TBC_NoOp", "\x1b[1;10H\x1b[g\r\t", (9, 1), &[]),
        ("HT_StopsAtRightEdge", "\x1b[1;79H\t\t\t", (80, 1), &[]),
        ("RIS_ResetTabs", "\x1b[3g\x1bc\t", (9, 1), &[]),
    ]);
}

#[test]
fn modes_and_resets() {
    check(&[
        ("DECAWM_On", "\x1b[1;79Habcd", (3, 2), &[(2, "cd")]),
        ("DECAWM_Off", "\x1b[?7l\x1b[1;79Habcd", (80, 1), &[(2, "")]),
        ("DECAWM_PendingWrapAtEdge", "\x1b[1;80Hx", (80, 1), &[(2, "")]),
        ("DECAWM_ScrollsWrappingAtBottom", "\x1b[25;79Habc", (2, 25), &[(25, "c")]),
        ("DECOM_MovesCursorHome", "\x1b[5;7r\x1b[10;10H\x1b[?6h", (1, 5), &[]),
        ("DECOM_ResetMovesCursorHome", "\x1b[5;7r\x1b[?6h\x1b[?6l", (1, 1), &[]),
        ("DECOM_CursorRelative", "\x1b[5;7r\x1b[?6h\x1b[2;3HX", (4, 6), &[(6, "  X")]),
        ("DECSC_DECRC_Cursor", "\x1b[6;5H\x1b7\x1b[1;1H\x1b8", (5, 6), &[]),
        ("DECRC_MovesToHomeWhenNotSaved", "\x1b[6;5H\x1b8", (1, 1), &[]),
        ("SCOSC_SCORC", "\x1b[6;5H\x1b[s\x1b[1;1H\x1b[u", (5, 6), &[]),
        ("DECSTR_Margins", "\x1b[3;4r\x1b[!p\x1b[4;1Hx\n", (2, 5), &[(4, "x")]),
        ("DECSTR_IRM", "\x1b[4h\x1b[!pab\x1b[1;1HX", (2, 1), &[(1, "Xb")]),
        ("DECSTR_CursorStays", "\x1b[6;5H\x1b[!p", (5, 6), &[]),
        ("DECSTR_DECSC", "\x1b[6;5H\x1b7\x1b[!p\x1b8", (1, 1), &[]),
        ("RIS_ClearsScreen", "abc\x1bc", (1, 1), &[(1, "")]),
        ("RIS_RemovesMargins", "\x1b[3;4r\x1bc\x1b[4;1H\n", (1, 5), &[]),
        ("RIS_ExitAltScreen", "m\x1b[?1047ha\x1bc\x1b[?1047l", (1, 1), &[(1, "")]),
        ("ALTBUF_1049", "abc\x1b[?1049hxyz\x1b[?1049l", (4, 1), &[(1, "abc")]),
        ("ALTBUF_47", "abc\x1b[?47h\x1b[Hxyz\x1b[?47l\x1b[1;4H", (4, 1), &[(1, "abc")]),
        ("XTSAVE_Restores", "\x1b[?7l\x1b[?7s\x1b[?7h\x1b[?7r\x1b[1;79Habc", (80, 1), &[(2, "")]),
        ("DECRESET_47_AltIsClearedBy1049", "\x1b[?1049hxyz\x1b[?1049l\x1b[?1049h", (1, 1), &[(1, "")]),
        ("SO_SI_DecGraphics", "\x1b)0\x0eq\x0fq", (3, 1), &[(1, "─q")]),
        ("G0_DecGraphics", "\x1b(0lqk\x1b(B", (4, 1), &[(1, "┌─┐")]),
        ("DCS_IsSwallowed", "a\x1bPpayload\x1b\\b", (3, 1), &[(1, "ab")]),
        ("APC_IsSwallowed", "a\x1b_payload\x1b\\b", (3, 1), &[(1, "ab")]),
        ("PM_IsSwallowed", "a\x1b^payload\x1b\\b", (3, 1), &[(1, "ab")]),
        ("SOS_IsSwallowed", "a\x1bXpayload\x1b\\b", (3, 1), &[(1, "ab")]),
        ("OSC_EndsAtBell", "a\x1b]0;title\x07b", (3, 1), &[(1, "ab")]),
        ("CAN_EndsSequence", "a\x1b[1\x18b", (3, 1), &[(1, "ab")]),
        ("SUB_EndsSequence", "a\x1b[1\x1ab", (3, 1), &[(1, "ab")]),
        ("C0_InsideCsiIsDone", "a\x1b[\r2Cb", (4, 1), &[(1, "a b")]),
    ]);
}

#[test]
fn titles() {
    for (name, input, title) in [
        ("OSC0_Title", "\x1b]0;hello\x07", "hello"),
        ("OSC2_Title", "\x1b]2;hello\x1b\\", "hello"),
        ("OSC1_IconOnly", "\x1b]2;hello\x07\x1b]1;icon\x07", "hello"),
        ("XTWINOPS_PushPopTitle", "\x1b]2;one\x07\x1b[22;2t\x1b]2;two\x07\x1b[23;2t", "one"),
        ("XTWINOPS_PushPopBoth", "\x1b]2;one\x07\x1b[22;0t\x1b]2;two\x07\x1b[23;0t", "one"),
        ("XTWINOPS_PopEmpty", "\x1b]2;one\x07\x1b[23;0t", "one"),
    ] {
        assert_eq!(screen(input).title(), title, "{name}");
    }
}

#[test]
fn reports() {
    for (name, before, query, answer) in [
        ("DSR_DSROk", "", "\x1b[5n", "\x1b[0n"),
        ("DSR_CPR", "\x1b[5;6H", "\x1b[6n", "\x1b[5;6R"),
        ("DSR_CPR_OriginMode", "\x1b[5;7r\x1b[?6h\x1b[2;3H", "\x1b[6n", "\x1b[2;3R"),
        ("DSR_DECXCPR", "\x1b[5;6H", "\x1b[?6n", "\x1b[?5;6;1R"),
        ("DECRQM_ANSI_Set", "\x1b[4h", "\x1b[4$p", "\x1b[4;1$y"),
        ("DECRQM_ANSI_Reset", "", "\x1b[4$p", "\x1b[4;2$y"),
        ("DECRQM_DEC_Set", "", "\x1b[?7$p", "\x1b[?7;1$y"),
        ("DECRQM_DEC_Reset", "\x1b[?7l", "\x1b[?7$p", "\x1b[?7;2$y"),
        ("DECRQM_Unknown", "", "\x1b[?9999$p", "\x1b[?9999;0$y"),
        ("DECRQSS_DECSTBM", "\x1b[5;6r", "\x1bP$qr\x1b\\", "\x1bP1$r5;6r\x1b\\"),
        ("DECRQSS_SGR", "\x1b[1m", "\x1bP$qm\x1b\\", "\x1bP1$r0;1m\x1b\\"),
        ("DECRQSS_DECSCUSR", "\x1b[4 q", "\x1bP$q q\x1b\\", "\x1bP1$r4 q\x1b\\"),
        ("XTWINOPS_ReportTextAreaPixels", "", "\x1b[14t", "\x1b[4;500;800t"),
        ("XTWINOPS_ReportScreenSizePixels", "", "\x1b[15t", "\x1b[5;500;800t"),
        ("XTWINOPS_ReportCharSizePixels", "", "\x1b[16t", "\x1b[6;20;10t"),
        ("XTWINOPS_ReportTextAreaChars", "", "\x1b[18t", "\x1b[8;25;80t"),
    ] {
        let mut screen = screen(before);
        let said = screen.answer(query.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(said.as_deref(), Some(answer), "{name}");
    }
}
