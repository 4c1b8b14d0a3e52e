//! Left and right margins, case by case, after the published list of esctest2 as in `esctest.rs`. xterm.js has none of it, so that
//! nothing here is compared with it; `oracle/margins.rs` compares with libvterm.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

#[path = "common/cases.rs"]
mod cases;

use cases::check;

#[test]
fn the_cursor_stops_at_margins_that_it_is_between() {
    check(&[
        ("DECSLRM_MovesCursorHome", "\x1b[?69h\x1b[3;4H\x1b[5;10s", (1, 1), &[]),
        ("DECSLRM_OriginMode", "\x1b[?69h\x1b[?6h\x1b[5;10s", (5, 1), &[]),
        ("DECSLRM_LeftNotBeforeRight", "\x1b[?69h\x1b[3;4H\x1b[5;5s\x1b[99C", (80, 3), &[]),
        ("DECSLRM_DefaultArgs", "\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[s\x1b[99C", (80, 1), &[]),
        ("DECSLRM_RightBeyondPage", "\x1b[?69h\x1b[5;999s\x1b[3;7H\x1b[99C\x1b[99D", (5, 3), &[]),
        ("DECSLRM_NeedsDECLRMM", "\x1b[5;10s\x1b[3;7H\x1b[99C", (80, 3), &[]),
        ("SCOSC_WithoutDECLRMM", "\x1b[3;7H\x1b[s\x1b[1;1H\x1b[u", (7, 3), &[]),
        ("BS_StopsAtLeftMargin", "\x1b[?69h\x1b[5;10s\x1b[1;5H\x08", (5, 1), &[]),
        ("BS_MovesLeftWhenLeftOfLeftMargin", "\x1b[?69h\x1b[5;10s\x1b[1;4H\x08", (3, 1), &[]),
        ("CBT_IgnoresRegion", "\x1b[?69h\x1b[5;30s\x1b[9;7H\x1b[2Z", (1, 9), &[]),
        ("CBT_OriginMode", "\x1b[?69h\x1b[5;30s\x1b[?6h\x1b[9;7H\x1b[2Z", (5, 9), &[]),
        ("CHA_IgnoresScrollRegion", "\x1b[?69h\x1b[5;10s\x1b[3;5H\x1b[G", (1, 3), &[]),
        (
            "CHA_RespectsOriginMode",
            "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[1;2H\x1b[GX",
            (6, 6),
            &[(6, "    X")],
        ),
        ("CHT_IgnoresScrollingRegion", "\x1b[?69h\x1b[5;30s\x1b[9;7H\x1b[2I", (17, 9), &[]),
        ("CHT_StopsAtRightMargin", "\x1b[?69h\x1b[5;30s\x1b[9;7H\x1b[2I\x1b[2I", (30, 9), &[]),
        ("CHT_FromLeftOfMargin", "\x1b[?69h\x1b[5;30s\x1b[9;1H\x1b[9I", (30, 9), &[]),
        (
            "CNL_StopsAtBottomLineWhenBegunBelowScrollRegion",
            "\x1b[4;5r\x1b[?69h\x1b[5;10s\x1b[6;7H\x1b[99E",
            (5, 25),
            &[],
        ),
        (
            "CNL_StopsAtBottomMarginInScrollRegion",
            "\x1b[2;4r\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[99E",
            (5, 4),
            &[],
        ),
        (
            "CPL_StopsAtTopLineWhenBegunAboveScrollRegion",
            "\x1b[4;5r\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[99F",
            (5, 1),
            &[],
        ),
        ("CPL_StopsAtTopMarginInScrollRegion", "\x1b[2;4r\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[99F", (5, 2), &[]),
        ("CR_MovesToLeftMarginWhenRightOfLeftMargin", "\x1b[?69h\x1b[5;10s\x1b[1;6H\r", (5, 1), &[]),
        ("CR_MovesToLeftOfScreenWhenLeftOfLeftMargin", "\x1b[?69h\x1b[5;10s\x1b[1;4H\r", (1, 1), &[]),
        ("CR_StaysPutWhenAtLeftMargin", "\x1b[?69h\x1b[5;10s\x1b[1;5H\r", (5, 1), &[]),
        ("CR_RightOfRightMargin", "\x1b[?69h\x1b[5;10s\x1b[1;50H\r", (5, 1), &[]),
        ("CR_InOriginMode", "\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[1;4H\rx", (6, 1), &[(1, "    x")]),
        (
            "CUB_StopsAtLeftEdgeWhenBegunLeftOfScrollRegion",
            "\x1b[?69h\x1b[5;10s\x1b[3;4H\x1b[99D",
            (1, 3),
            &[],
        ),
        ("CUB_StopsAtLeftMarginInScrollRegion", "\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[99D", (5, 3), &[]),
        ("CUF_StopsAtRightEdgeWhenBegunRightOf", "\x1b[?69h\x1b[5;10s\x1b[3;12H\x1b[99C", (80, 3), &[]),
        ("CUF_StopsAtRightMarginInScrollRegion", "\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[99C", (10, 3), &[]),
        ("CUF_FromLeftOfMargins", "\x1b[?69h\x1b[5;10s\x1b[3;2H\x1b[99C", (10, 3), &[]),
        ("CUP_IgnoresMargins", "\x1b[?69h\x1b[5;10s\x1b[3;2H\x1b[4;77H", (77, 4), &[]),
        ("CUP_RespectsOriginMode", "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[HX", (6, 6), &[(6, "    X")]),
        ("CUP_OriginModeStopsAtMargins", "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[99;99H", (10, 11), &[]),
        (
            "HVP_RespectsOriginMode",
            "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[1;1fX",
            (6, 6),
            &[(6, "    X")],
        ),
        ("HPA_InOriginMode", "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[2`", (6, 6), &[]),
        ("HPR_IsNotStoppedByMargins", "\x1b[?69h\x1b[5;10s\x1b[3;7H\x1b[9a", (16, 3), &[]),
        (
            "HPR_InOriginMode",
            "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[2;2HX\x1b[2aY",
            (10, 7),
            &[(7, "     X  Y")],
        ),
        ("VPA_InOriginMode", "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[1;3H\x1b[2d", (7, 7), &[]),
        (
            "VPR_InOriginMode",
            "\x1b[6;11r\x1b[?69h\x1b[5;10s\x1b[?6h\x1b[2;2HX\x1b[2eY",
            (8, 9),
            &[(7, "     X"), (9, "      Y")],
        ),
        (
            "CUU_CUD_AreNotStoppedByColumns",
            "\x1b[2;4r\x1b[?69h\x1b[5;10s\x1b[3;50H\x1b[99B\x1b[99A",
            (50, 2),
            &[],
        ),
        ("DECAWM_NoLineWrapOnTab", "\x1b[?69h\x1b[10;20s\t\t\t\t", (20, 1), &[]),
        ("HT_RightOfMargin", "\x1b[?69h\x1b[10;20s\x1b[1;30H\t", (33, 1), &[]),
    ]);
}

#[test]
fn text_wraps_between_margins() {
    check(&[
        (
            "DECSET_DECLRMM",
            "\x1b[?69h\x1b[2;4sabcdefgh\x1b[?69l\x1b[5;1HABCDEFGH",
            (9, 5),
            &[(1, "abcd"), (2, " efg"), (3, " h"), (5, "ABCDEFGH")],
        ),
        (
            "DECAWM_OnRespectsLeftRightMargin",
            "\x1b[?69h\x1b[5;9s\x1b[5;9r\x1b[9;8Habcdef",
            (9, 9),
            &[(8, "       ab"), (9, "    cdef")],
        ),
        (
            "DECAWM_OffRespectsLeftRightMargin",
            "\x1b[?69h\x1b[5;9s\x1b[5;9r\x1b[9;8H\x1b[?7labcdef",
            (9, 9),
            &[(8, ""), (9, "       af")],
        ),
        ("DECAWM_PendingWrapAtMargin", "\x1b[?69h\x1b[5;9s\x1b[2;9Hx", (9, 2), &[(3, "")]),
        (
            "DECAWM_PendingWrapIsForgotten",
            "\x1b[?69h\x1b[5;9s\x1b[2;8Hab\x1b[DX",
            (9, 2),
            &[(2, "       Xb")],
        ),
        ("BS_CancelsPendingWrap", "\x1b[?69h\x1b[5;9s\x1b[2;9Hx\x08", (8, 2), &[]),
        (
            "LF_CancelsPendingWrap",
            "\x1b[?69h\x1b[5;9s\x1b[2;9Hx\ny",
            (9, 3),
            &[(2, "        x"), (3, "        y")],
        ),
        (
            "DECLRMM_ResetForgetsPendingWrap",
            "\x1b[?69h\x1b[5;9s\x1b[2;9Hx\x1b[?69ly",
            (10, 2),
            &[(2, "        y")],
        ),
        ("RightOfMargin_WrapsAtTheEdge", "\x1b[?69h\x1b[5;9s\x1b[2;79Habc", (6, 3), &[(3, "    c")]),
        (
            "RightOfMargin_AtTheBottomNothingScrolls",
            "\x1b[?69h\x1b[5;9s\x1b[24;1Hx\x1b[25;79Habc",
            (6, 25),
            &[(24, "x"), (25, CB)],
        ),
        (
            "LeftOfMargin_GoesOnToTheRightMargin",
            "\x1b[?69h\x1b[5;9s\x1b[2;3Habcdefgh",
            (6, 3),
            &[(2, "  abcdefg"), (3, "    h")],
        ),
        ("Wide_DoesNotFitAtRightMargin", "\x1b[?69h\x1b[2;4sa日本", (4, 2), &[(1, "a日"), (2, " 本")]),
        ("Wide_WrapsAtMargin", "\x1b[?69h\x1b[2;5s\x1b[1;2Habc日", (4, 2), &[(1, " abc"), (2, " 日")]),
        ("Wide_DoesNotWrapWithoutDECAWM", "\x1b[?69h\x1b[2;5s\x1b[?7l\x1b[1;2Habc日", (5, 1), &[(1, " abc")]),
        (
            "Wide_OverTheMarginIsOverwritten",
            "\x1b[1;4H日x\x1b[?69h\x1b[2;4s\x1b[1;4Ha",
            (4, 1),
            &[(1, "   a x")],
        ),
        (
            "Wide_PlaceThatIsTooNarrowIsCleared",
            "abcd日\x1b[?69h\x1b[2;5s\x1b[1;5H本",
            (4, 2),
            &[(1, "abcd"), (2, " 本")],
        ),
        (
            "Mark_JoinsWhatWaitsAtMargin",
            "\x1b[?69h\x1b[2;4s\x1b[1;3Hae\u{301}b",
            (3, 2),
            &[(1, "  ae\u{301}"), (2, " b")],
        ),
        (
            "Mark_AloneAtMarginIsNowhere",
            "\x1b[?69h\x1b[2;4s\x1b[1;4Ha\x1b[m\u{301}b",
            (3, 2),
            &[(1, "   a"), (2, " b")],
        ),
        (
            "REP_RespectsLeftRightMargins",
            "\x1b[?69h\x1b[2;4s\x1b[1;2Ha\x1b[3b",
            (3, 2),
            &[(1, " aaa"), (2, " a")],
        ),
        ("REP_AtMargin", "\x1b[?69h\x1b[2;4s\x1b[1;4Ha\x1b[b", (3, 2), &[(1, "   a"), (2, " a")]),
        (
            "SM_IRM_TruncatesAtRightMargin",
            "\x1b[1;5Habcdef\x1b[?69h\x1b[5;9s\x1b[1;7H\x1b[4hX",
            (8, 1),
            &[(1, "    abXcdf")],
        ),
        (
            "SM_IRM_OutsideMargins",
            "\x1b[1;5Habcdef\x1b[?69h\x1b[7;9s\x1b[1;5H\x1b[4hX",
            (6, 1),
            &[(1, "    Xbcdef")],
        ),
        (
            "BS_ReverseWrapFromPendingWrap",
            "\x1b[?45h\x1b[?69h\x1b[2;4s\x1b[1;3Hab\x08X",
            (4, 1),
            &[(1, "  aX")],
        ),
        (
            "BS_ReverseWrapGoesToRightMargin",
            "\x1b[?45h\x1b[1;80Habc\x1b[?69h\x1b[1;4s\x1b[2;1H\x08",
            (4, 1),
            &[],
        ),
    ]);
}

/// What is at the end of a row that text wrapped from and to.
const CB: &str = "    c                                                                         ab";

#[test]
fn lines_move_between_margins_alone() {
    const BOX: &str = "abcde\r\nfghij\r\nklmno\r\npqrst\r\nuvwxy";
    let feed = |rest: &str| -> &'static str { Box::leak(format!("{BOX}{rest}").into_boxed_str()) };
    check(&[
        (
            "DL_InLeftRightScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;3H\x1b[M"),
            (2, 2),
            &[(1, "abcde"), (2, "flmnj"), (3, "kqrso"), (4, "pvwxt"), (5, "u   y")],
        ),
        (
            "DL_OutsideLeftRightScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;1H\x1b[M"),
            (1, 2),
            &[(2, "fghij"), (3, "klmno")],
        ),
        (
            "DL_InLeftRightAndTopBottom",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;3H\x1b[M"),
            (2, 2),
            &[(1, "abcde"), (2, "flmnj"), (3, "kqrso"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "DL_ClearOut",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;3H\x1b[99M"),
            (2, 2),
            &[(1, "abcde"), (2, "f   j"), (3, "k   o"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "DL_OutsideTopBottom",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[1;3H\x1b[M"),
            (3, 1),
            &[(1, "abcde"), (2, "fghij"), (5, "uvwxy")],
        ),
        (
            "IL_RespectsScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;3H\x1b[L"),
            (2, 2),
            &[(1, "abcde"), (2, "f   j"), (3, "kghio"), (4, "plmnt"), (5, "uvwxy")],
        ),
        (
            "IL_RespectsScrollRegion_Over",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;3H\x1b[99L"),
            (2, 2),
            &[(2, "f   j"), (3, "k   o"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "IL_AboveScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[1;1H\x1b[L"),
            (1, 1),
            &[(1, "abcde"), (2, "fghij")],
        ),
        (
            "SD_RespectsLeftRightScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;3H\x1b[2T"),
            (3, 2),
            &[(1, "a   e"), (2, "f   j"), (3, "kbcdo"), (4, "pghit"), (5, "ulmny"), (6, " qrs"), (7, " vwx")],
        ),
        (
            "SD_OutsideLeftRightScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;1H\x1b[2T"),
            (1, 2),
            &[(1, "a   e"), (3, "kbcdo"), (7, " vwx")],
        ),
        (
            "SD_LeftRightAndTopBottom",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;1H\x1b[2T"),
            (1, 2),
            &[(1, "abcde"), (2, "f   j"), (3, "k   o"), (4, "pghit"), (5, "uvwxy")],
        ),
        (
            "SD_Big",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;1H\x1b[99T"),
            (1, 2),
            &[(2, "f   j"), (3, "k   o"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "SU_RespectsLeftRightScrollRegion",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;3H\x1b[2S"),
            (3, 2),
            &[(1, "almne"), (2, "fqrsj"), (3, "kvwxo"), (4, "p   t"), (5, "u   y")],
        ),
        (
            "SU_LeftRightAndTopBottom",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;1H\x1b[2S"),
            (1, 2),
            &[(1, "abcde"), (2, "fqrsj"), (3, "k   o"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "SU_Big",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;1H\x1b[99S"),
            (1, 2),
            &[(2, "f   j"), (3, "k   o"), (4, "p   t")],
        ),
        (
            "IND_Scrolls",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;3H\x1bD"),
            (3, 4),
            &[(1, "abcde"), (2, "flmnj"), (3, "kqrso"), (4, "p   t"), (5, "uvwxy")],
        ),
        (
            "IND_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\x1bD\x1b[4;1H\x1bD"),
            (1, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "IND_OutsideAtTheBottomOfTheScreen",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[25;5H\x1bD"),
            (5, 25),
            &[(1, "abcde"), (2, "fghij")],
        ),
        ("IND_OutsideMovesDown", feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[3;5H\x1bD"), (5, 4), &[(2, "fghij")]),
        (
            "LF_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\n\x1b[4;1H\n"),
            (1, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "VT_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\x0b"),
            (5, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "FF_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\x0c"),
            (5, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "NEL_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\x1bE"),
            (2, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "NEL_LeftOfMargins",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;1H\u{85}"),
            (1, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "NEL_Scrolls",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;4H\x1bE"),
            (2, 4),
            &[(2, "flmnj"), (4, "p   t")],
        ),
        (
            "LNM_RightOfMargins",
            feed("\x1b[20h\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[4;5H\n"),
            (2, 4),
            &[(2, "fghij"), (4, "pqrst")],
        ),
        (
            "RI_Scrolls",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;3H\x1bM"),
            (3, 2),
            &[(1, "abcde"), (2, "f   j"), (3, "kghio"), (4, "plmnt"), (5, "uvwxy")],
        ),
        (
            "RI_DoesNotScrollOutside",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[2;5H\x1bM"),
            (5, 2),
            &[(1, "abcde"), (2, "fghij"), (5, "uvwxy")],
        ),
        (
            "RI_OutsideMovesUp",
            feed("\x1b[?69h\x1b[2;4s\x1b[2;4r\x1b[1;1H\x1bM\x1b[4;5H\x1bM"),
            (5, 3),
            &[(2, "fghij")],
        ),
        (
            "Background_ComesInBetweenMarginsAlone",
            feed("\x1b[?69h\x1b[2;4s\x1b[41m\x1b[99S\x1b[m"),
            (1, 1),
            &[(1, "a   e"), (5, "u   y")],
        ),
    ]);
}

#[test]
fn characters_and_columns_move_up_to_the_right_margin() {
    check(&[
        ("DCH_RespectsMargins", "abcde\x1b[?69h\x1b[2;4s\x1b[1;3H\x1b[P", (3, 1), &[(1, "abd e")]),
        ("DCH_DeleteAllWithMargins", "abcde\x1b[?69h\x1b[2;4s\x1b[1;3H\x1b[99P", (3, 1), &[(1, "ab  e")]),
        (
            "DCH_DoesNothingOutside",
            "abcde\x1b[?69h\x1b[2;4s\x1b[1;1H\x1b[99P\x1b[1;5H\x1b[P",
            (5, 1),
            &[(1, "abcde")],
        ),
        ("DCH_CutsWideAtMargin", "ab日本c\x1b[?69h\x1b[2;5s\x1b[1;2H\x1b[P", (2, 1), &[(1, "a日   c")]),
        ("ICH_ScrollOffRightMargin", "abcdefg\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b[@", (3, 1), &[(1, "ab cdfg")]),
        (
            "ICH_IsNoOpOutside",
            "abcdefg\x1b[?69h\x1b[2;5s\x1b[1;1H\x1b[9@\x1b[1;6H\x1b[@",
            (6, 1),
            &[(1, "abcdefg")],
        ),
        ("ICH_CutsWideAtMargin", "abc日ef\x1b[?69h\x1b[2;5s\x1b[1;2H\x1b[@", (2, 1), &[(1, "a bc ef")]),
        ("ECH_IgnoresScrollRegion", "abcdefg\x1b[?69h\x1b[2;4s\x1b[1;3H\x1b[4X", (3, 1), &[(1, "ab    g")]),
        ("ECH_OutsideScrollRegion", "abcdefg\x1b[?69h\x1b[2;4s\x1b[1;1H\x1b[4X", (1, 1), &[(1, "    efg")]),
        (
            "ED_0",
            "abcde\r\nfghij\r\nklmno\x1b[?69h\x1b[2;4s\x1b[2;3r\x1b[2;3H\x1b[J",
            (3, 2),
            &[(1, "abcde"), (2, "fg"), (3, "")],
        ),
        (
            "ED_1",
            "abcde\r\nfghij\r\nklmno\x1b[?69h\x1b[2;4s\x1b[2;3r\x1b[2;3H\x1b[1J",
            (3, 2),
            &[(1, ""), (2, "   ij"), (3, "klmno")],
        ),
        (
            "ED_2",
            "abcde\r\nfghij\r\nklmno\x1b[?69h\x1b[2;4s\x1b[2;3r\x1b[2;3H\x1b[2J",
            (3, 2),
            &[(1, ""), (2, ""), (3, "")],
        ),
        ("EL_0", "abcdefgh\x1b[?69h\x1b[2;4s\x1b[1;3H\x1b[K", (3, 1), &[(1, "ab")]),
        ("EL_1", "abcdefgh\x1b[?69h\x1b[2;4s\x1b[1;3H\x1b[1K", (3, 1), &[(1, "   defgh")]),
        ("EL_2", "abcdefgh\x1b[?69h\x1b[2;4s\x1b[1;5H\x1b[2K", (5, 1), &[(1, "")]),
        (
            "EL_AtMarginErasesAndForgetsPendingWrap",
            "abcdefgh\x1b[?69h\x1b[2;4s\x1b[1;4HD\x1b[KX",
            (4, 1),
            &[(1, "abcX"), (2, "")],
        ),
        (
            "DECIC_ScrollOffRightMargin",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b['}",
            (3, 1),
            &[(1, "ab cdfg"), (2, "AB CDFG")],
        ),
        (
            "DECIC_IsNoOpOutside",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;1H\x1b[9'}",
            (1, 1),
            &[(1, "abcdefg"), (2, "ABCDEFG")],
        ),
        (
            "DECDC_DeleteWithMargins",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b['~",
            (3, 1),
            &[(1, "abde fg"), (2, "ABDE FG")],
        ),
        (
            "DECDC_DeleteAllWithMargins",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b[99'~",
            (3, 1),
            &[(1, "ab   fg"), (2, "AB   FG")],
        ),
        (
            "DECDC_IsNoOpOutside",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;7H\x1b['~",
            (7, 1),
            &[(1, "abcdefg"), (2, "ABCDEFG")],
        ),
        (
            "SL_BetweenMargins",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b[ @",
            (3, 1),
            &[(1, "acde fg"), (2, "ACDE FG")],
        ),
        (
            "SR_BetweenMargins",
            "abcdefg\r\nABCDEFG\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b[ A",
            (3, 1),
            &[(1, "a bcdfg"), (2, "A BCDFG")],
        ),
        ("SU_CutsWideAtMargins", "日b\r\n日b\x1b[?69h\x1b[2;3s\x1b[S", (1, 1), &[(1, "  b"), (2, "")]),
    ]);
}

#[test]
fn margins_come_and_go() {
    check(&[
        (
            "DECLRMM_ResetForgetsMargins",
            "\x1b[?69h\x1b[5;9s\x1b[?69l\x1b[?69h\x1b[1;6H\x1b[99C",
            (80, 1),
            &[],
        ),
        ("DECLRMM_SetKeepsMargins", "\x1b[?69h\x1b[5;9s\x1b[?69h\x1b[1;6H\x1b[99C", (9, 1), &[]),
        ("DECOM", "\x1b[5;7r\x1b[?69h\x1b[5;7s\x1b[?6h\x1b[HX", (6, 5), &[(5, "    X")]),
        ("DECOM_SoftReset", "\x1b[5;7r\x1b[?69h\x1b[5;7s\x1b[?6h\x1b[!p\x1b[G\x1b[dX", (2, 1), &[(1, "X")]),
        ("DECSTR_DECLRMM", "\x1b[?69h\x1b[5;6s\x1b[!p\x1b[5;5Hab", (7, 5), &[(5, "    ab")]),
        ("DECLRMM_ModeResetByDECSTR", "\x1b[?69h\x1b[!p\x1b[2;4s\x1b[3;3Habc", (6, 3), &[(3, "  abc")]),
        ("RIS_RemoveMargins", "\x1b[?69h\x1b[3;5s\x1b[4;6r\x1bc\x1b[4;3H\x1b[D\x1b[A", (2, 3), &[]),
        ("RIS_ResetDECOM", "\x1b[5;7r\x1b[?69h\x1b[5;7s\x1b[?6h\x1bc\x1b[HX", (2, 1), &[(1, "X")]),
        ("DECALN_ClearsLeftRightMargins", "\x1b[?69h\x1b[2;3s\x1b#8\x1b[4;2H\x1b[D", (1, 4), &[]),
        ("DECSTBM_KeepsLeftRightMargins", "\x1b[?69h\x1b[5;9s\x1b[2;5r\x1b[3;6H\x1b[99C", (9, 3), &[]),
        (
            "DECRC_ResetsOriginMode",
            "\x1b[6;5H\x1b7\x1b[5;7r\x1b[?69h\x1b[5;7s\x1b[?6h\x1b8\x1b[HX",
            (2, 1),
            &[(1, "X")],
        ),
        ("DECSC_WorksInLRM", "\x1b[3;2H\x1b7\x1b[?69h\x1b[1;10s\x1b[6;5H\x1b7\x1b[5;4H\x1b8", (5, 6), &[]),
        (
            "SCOSC_DoesNotWorkInLRM",
            "\x1b[3;2H\x1b[s\x1b[?69h\x1b[1;10s\x1b[6;5H\x1b[s\x1b[5;4H\x1b[u",
            (2, 3),
            &[],
        ),
        (
            "DECSC_AtMarginComesBackOnIt",
            "\x1b[?69h\x1b[2;4s\x1b[1;4Ha\x1b7\x1b[H\x1b8b",
            (4, 1),
            &[(1, "   b")],
        ),
        (
            "ALTBUF_SharesMargins",
            "\x1b[?69h\x1b[2;4s\x1b[?1049h\x1b[2;2Habcd\x1b[?1049l\x1b[3;3H\x1b[99C",
            (4, 3),
            &[],
        ),
        ("ALTBUF_MarginsComeBack", "\x1b[?1049h\x1b[?69h\x1b[2;4s\x1b[?1049l\x1b[3;3H\x1b[99C", (4, 3), &[]),
        ("XTSAVE_DECLRMM", "\x1b[?69h\x1b[?69s\x1b[?69l\x1b[?69r\x1b[2;4s\x1b[3;3H\x1b[99C", (4, 3), &[]),
    ]);
}
