def step_0(state):
    state["n"] = state["n"] + 0
    return state


def step_1(state):
    state["n"] = state["n"] + 1
    return state


def step_2(state):
    state["n"] = state["n"] + 2
    return state


def step_3(state):
    state["n"] = state["n"] + 3
    return state


def step_4(state):
    state["n"] = state["n"] + 4
    return state


def step_5(state):
    state["n"] = state["n"] + 5
    return state


def step_6(state):
    state["n"] = state["n"] + 6
    return state


def step_7(state):
    state["n"] = state["n"] + 7
    return state


def step_8(state):
    state["n"] = state["n"] + 8
    return state


def step_9(state):
    state["n"] = state["n"] + 9
    return state


def step_10(state):
    state["n"] = state["n"] + 10
    return state


def step_11(state):
    state["n"] = state["n"] + 11
    return state


def step_12(state):
    state["n"] = state["n"] + 12
    return state


def step_13(state):
    state["n"] = state["n"] + 13
    return state


def step_14(state):
    state["n"] = state["n"] + 14
    return state


def step_15(state):
    state["n"] = state["n"] + 15
    return state


def step_16(state):
    state["n"] = state["n"] + 16
    return state


def step_17(state):
    state["n"] = state["n"] + 17
    return state


def step_18(state):
    state["n"] = state["n"] + 18
    return state


def step_19(state):
    state["n"] = state["n"] + 19
    return state


names = [
name_0,
name_1,
name_2,
name_3,
name_4,
name_5,
name_6,
name_7,
name_8,
name_9,
name_10,
name_11,
name_12,
name_13,
name_14,
name_15,
name_16,
name_17,
name_18,
name_19,
name_20,
name_21,
name_22,
name_23,
name_24,
name_25,
name_26,
name_27,
name_28,
name_29,
name_30,
name_31,
name_32,
name_33,
name_34,
name_35,
name_36,
name_37,
name_38,
name_39,
name_40,
name_41,
name_42,
name_43,
name_44,
name_45,
name_46,
name_47,
name_48,
name_49,
name_50,
name_51,
name_52,
name_53,
name_54,
name_55,
name_56,
name_57,
name_58,
name_59,
name_60,
name_61,
name_62,
name_63,
name_64,
name_65,
name_66,
name_67,
name_68,
name_69,
name_70,
name_71,
name_72,
name_73,
name_74,
name_75,
name_76,
name_77,
name_78,
name_79,
name_80,
name_81,
name_82,
name_83,
name_84,
name_85,
name_86,
name_87,
name_88,
name_89,
name_90,
name_91,
name_92,
name_93,
name_94,
name_95,
name_96,
name_97,
name_98,
name_99,
name_100,
name_101,
name_102,
name_103,
name_104,
name_105,
name_106,
name_107,
name_108,
name_109,
name_110,
name_111,
name_112,
name_113,
name_114,
name_115,
name_116,
name_117,
name_118,
name_119,
name_120,
name_121,
name_122,
name_123,
name_124,
name_125,
name_126,
name_127,
name_128,
name_129,
name_130,
name_131,
name_132,
name_133,
name_134,
name_135,
name_136,
name_137,
name_138,
name_139,
name_140,
name_141,
name_142,
name_143,
name_144,
name_145,
name_146,
name_147,
name_148,
name_149,


def look(key):
    return names[key]


def step_0(state):
    state["n"] = state["n"] + 0
    return state


def step_1(state):
    state["n"] = state["n"] + 1
    return state


def step_2(state):
    state["n"] = state["n"] + 2
    return state


def step_3(state):
    state["n"] = state["n"] + 3
    return state


def step_4(state):
    state["n"] = state["n"] + 4
    return state


def step_5(state):
    state["n"] = state["n"] + 5
    return state


def step_6(state):
    state["n"] = state["n"] + 6
    return state


def step_7(state):
    state["n"] = state["n"] + 7
    return state


def step_8(state):
    state["n"] = state["n"] + 8
    return state


def step_9(state):
    state["n"] = state["n"] + 9
    return state


def step_10(state):
    state["n"] = state["n"] + 10
    return state


def step_11(state):
    state["n"] = state["n"] + 11
    return state


def step_12(state):
    state["n"] = state["n"] + 12
    return state


def step_13(state):
    state["n"] = state["n"] + 13
    return state


def step_14(state):
    state["n"] = state["n"] + 14
    return state


def step_15(state):
    state["n"] = state["n"] + 15
    return state


def step_16(state):
    state["n"] = state["n"] + 16
    return state


def step_17(state):
    state["n"] = state["n"] + 17
    return state


def step_18(state):
    state["n"] = state["n"] + 18
    return state


def step_19(state):
    state["n"] = state["n"] + 19
    return state


